"""Makes one report of the reports on several adapters in one repository."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dovetail.adapters.formats.places import Content as Place
from dovetail.adapters.results.report import DEPTHS, CheckResult, Content, EngineRow, Evaluation, Report

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
