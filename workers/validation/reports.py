"""The report of a validation: made of those on several adapters in one repository, and recorded as the last step."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dovetail.adapters.formats.description import Content as Place
from dovetail.adapters.results.report import DEPTHS, CheckResult, Content, EngineRow, Evaluation, Report
from registry.proof.verdicts import jobs, queue
from registry.proof.verdicts.queue import Claim
from workers.engines import capabilities
from workers.validation.claims import Listener

WORST_FIRST = ("errored", "failed", "passed")


def combine(reports: Mapping[str, Report]) -> Report:
    """Return one report by folder: the worst decides, the least depth counts, and each check says where it looked."""
    worst = min(reports.values(), key=lambda report: WORST_FIRST.index(report.state))
    if len(reports) == 1 and "" in reports:
        return worst
    return replace(
        worst,
        depth=min((report.depth or DEPTHS[0] for report in reports.values()), key=DEPTHS.index),
        checks=tuple(placed(check, place) for place, report in reports.items() for check in report.checks),
        evals=tuple(one for place, report in reports.items() for one in _named(report.evals, place, len(reports))),
        earlier=tuple(
            replace(earlier, place=place if len(reports) > 1 else None)
            for place, report in reports.items()
            for earlier in report.earlier or ()
        )
        or None,
    )


def placed(check: CheckResult, place: str) -> CheckResult:
    """Return the check with the folder in which it looked."""
    return replace(check, where={**check.where, "path": _inside(place, check.where.get("path"))}) if place else check


def placing(listener: Listener, place: str) -> Listener:
    """Return a listener that passes each check on with the folder of the adapter."""
    return lambda check: listener(placed(check, place))


def _inside(place: str, path: Any) -> str:
    # A check of a composition names a folder of its own.
    return f"{place}/{path}" if isinstance(path, str) and path else place


def worst_rows(rows: Mapping[str, Sequence[EngineRow]]) -> tuple[EngineRow, ...]:
    """Return one row for each engine, of its rows by folder: the worst one, with the numbers of all adapters."""
    by_name: dict[str, list[EngineRow]] = {}
    for place, judged in rows.items():
        for row in judged:
            by_name.setdefault(row.name, []).append(replace(row, evals=_named(row.evals or (), place, len(rows))))
    return tuple(
        replace(
            min(same, key=lambda row: WORST_FIRST.index(row.state)),
            evals=tuple(measured for row in same for measured in row.evals or ()) or None,
        )
        for same in by_name.values()
    )


def _named(evals: Sequence[Evaluation], place: str, adapters: int) -> tuple[Evaluation, ...]:
    """Return measurements with the folder in their names where several adapters are measured."""
    return tuple(replace(one, name=f"{place}/{one.name}") if adapters > 1 else one for one in evals)


def contents_of(adapters: Sequence[Place], reports: Mapping[str, Report]) -> tuple[Content, ...]:
    """Return every adapter in the repository, those that are proven with what the report of their folder says."""
    return tuple(_content(each, reports.get(each.folder), is_alone=len(reports) == 1) for each in adapters)


def _content(adapter: Place, report: Report | None, *, is_alone: bool) -> Content:
    if report is None:
        return Content(adapter.path, adapter.format, adapter.kind, proven=False)
    serving = tuple(answer for answer in report.serving if answer.outcome == "serves")
    return Content(
        adapter.path,
        adapter.format,
        adapter.kind,
        proven=True,
        state=report.state,
        depth=report.depth,
        failed=tuple(check.id for check in report.failed),
        serves=tuple(answer.engine for answer in serving),
        serving=None if is_alone else serving,  # the rows of one alone are those of the report
    )


def record(claim: Claim, report: Report, milliseconds: int) -> None:
    """Record the report, and ask for comparisons with other engines. Raises ClaimStale."""
    if compare := _to_compare(claim, report):
        built = {*capabilities.built(), *queue.Fleet.now().engines}
        compare = [name for name in compare if name in built]
    jobs.record(claim, report, milliseconds, compare=compare)


def _to_compare(claim: Claim, report: Report) -> list[str]:
    """Return the other engines that shall judge an adapter that was run and passed.

    The engine that decided comes first: it runs the programs of Use.
    """
    if not report.is_passed or report.depth == "fit" or not claim.verdict.route:
        return []
    first = [report.engine.name] if report.usage and report.engine else []
    return [*first, *capabilities.engines_missing(report)]
