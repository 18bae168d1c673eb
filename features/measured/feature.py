"""Trials in the domain: which are asked for after a verdict, and the answer of the rules joined with what came out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.conf import settings

from dovetail.adapters.formats import formats
from dovetail.adapters.results.findings import some
from dovetail.adapters.results.report import WAITING, Content, Measured, Report, Serves, Serving
from dovetail.adapters.serving import ENGINES
from dovetail.adapters.serving.diffusers import KEY, pipeline_of
from dovetail.adapters.serving.rules import MAX_REASON
from features.measured.engine import MEASURERS
from registry.kernel.seams import Feature
from registry.models import Base, Verdict
from registry.proof.verdicts import comparisons
from registry.proof.verdicts.comparisons import Comparing
from registry.proof.verdicts.queue import Fleet, one_at_a_time, show_and_move
from registry.repos import bases

TITLES = {engine.name: engine.title for engine in ENGINES}
ANSWERS = {
    "base": "loads it without an error, and answers as the base alone does.",
    "neither": "loads it without an error, and answers neither as PEFT does with it nor as the base alone.",
}
Trials = Mapping[str, tuple[Measured | None, str]]  # folder of an adapter → what was measured, or why nothing was
SEVERITY: tuple[Serves, ...] = ("serves", "unknown", "wrong", "refuses")
BY_RULES = " By its rules it serves it: "  # in the reason of a row that waits; after it, that of the rules


def engines() -> Sequence[str]:
    """Return the serving engines that are tried where a worker has them."""
    return tuple(MEASURERS) if settings.ENGINES_MEASURED else ()


def config_for(name: str, base: Base | None, base_id: str) -> Mapping[str, Any] | None:
    """Return the config of a base as a serving engine is tried with it, None where the base is not known."""
    if not MEASURERS[name].pipelines:
        return base.config if base is not None else None
    pipeline = pipeline_of(base_id)
    return {KEY: pipeline} if pipeline else None


def ask(verdict: Verdict, report: Report) -> Report:
    """Ask for trials of a version that was just judged, by engines that read its format and that a living worker has.

    Returns the report, whose rows wait for them.
    """
    rows = [
        row for row in report.serving if row.engine in engines() and f"{row.engine}.format" not in (row.rules or ())
    ]
    base = bases.find_base(verdict.base) if rows else None
    known = [row.engine for row in rows if config_for(row.engine, base, verdict.base) is not None]
    there = Fleet.now().engines if known else set()
    if not (chosen := [engine for engine in known if engine in there]):
        return report
    comparisons.ask(verdict, chosen, route="")
    earlier = Verdict.objects.filter(revision=verdict.revision_id, number__lt=verdict.number)
    before = earlier.filter(finished_at__isnull=False).order_by("-number").first()
    return waiting(report, chosen, before.report if before else None)


def record(claim: Comparing, trials: Trials) -> None:
    """Add what a serving engine did with each adapter to its rows, and what it serves to the lists.

    Where an adapter was not tried, its rows say why. Raises ClaimStale before anything is written.
    """
    with one_at_a_time(claim.verdict):
        verdict = comparisons.finish(claim)
        _publish(verdict, tried(verdict.report, claim.row.engine, trials))


def leave(verdict: Verdict, engine: str, why: str) -> None:
    """Let the answer of the rules stand, since the engine gave none."""
    _publish(verdict, not_tried(verdict.report, engine, why))


def _publish(verdict: Verdict, report: Report) -> None:
    comparisons.write(verdict, report)
    show_and_move(verdict)


FEATURE = Feature(engines=engines, judged=ask, unanswered=leave)


# --- the answer of the rules, joined with what the engine did --------------------------------------------------------
def judged(answer: Serving, measured: Measured) -> Serving:
    """Return an engine's answer with what it did: the worse of both outcomes counts.

    A rule that decides against an adapter stays: it may know what a trial of this depth cannot see.
    """
    outcome, reason = _outcome(measured)
    if SEVERITY.index(outcome) < SEVERITY.index(answer.outcome):
        return replace(answer, by="rule", measured=measured)
    if outcome == answer.outcome:
        return replace(answer, by="measured", measured=measured)
    return replace(answer, outcome=outcome, reason=reason[:MAX_REASON], flags=[], by="measured", measured=measured)


def waiting(report: Report, engines: Collection[str], before: Report | None = None) -> Report:
    """Return a report whose rows of these engines wait for their trials, and promise nothing that is not known yet.

    A row that was measured with the same files in an earlier report holds until then.
    """
    earlier = {row.engine: row for row in before.serving if row.measured} if before else {}

    def of(rows: tuple[Serving, ...], known: Mapping[str, Serving]) -> tuple[Serving, ...]:
        return tuple(_waiting(row, known.get(row.engine)) if row.engine in engines else row for row in rows)

    serving = of(report.serving, earlier)
    lists = {row.engine for row in serving if row.outcome == "serves"}
    contents = []
    for each in report.contents:
        rows = None if each.serving is None else of(each.serving, {})
        serves = lists if rows is None else {row.engine for row in rows if row.outcome == "serves"}
        names = None if each.serves is None else tuple(name for name in each.serves if name in serves)
        contents.append(replace(each, serving=rows, serves=names))
    return replace(report, serving=serving, contents=tuple(contents))


def _waiting(row: Serving, earlier: Serving | None) -> Serving:
    if row.outcome != "serves":
        return row
    if earlier is not None and earlier.outcome == "serves":
        return replace(row, by="measured", measured=earlier.measured)
    said = earlier.reason.partition(BY_RULES)[0] if earlier is not None else "Not tried yet."
    return replace(
        row,
        outcome=earlier.outcome if earlier is not None else "unknown",
        reason=f"{said}{BY_RULES}{row.reason}"[:MAX_REASON],
        measured=earlier.measured if earlier is not None else None,
        untried=WAITING,
    )


def _by_rules(row: Serving) -> Serving:
    """Return the answer of the rules, of a row that waited for its trial."""
    _, waited, reason = row.reason.partition(BY_RULES)
    return replace(
        row,
        outcome="serves" if waited else row.outcome,
        reason=reason if waited else row.reason,
        by=None,
        measured=None,
        untried=None,
    )


def tried(report: Report, engine: str, trials: Trials) -> Report:
    """Return a report with what an engine did with each of its adapters; the worst of them decides the report's row."""
    seen = [measured for measured, _ in trials.values() if measured is not None]
    untried = next((reason for measured, reason in trials.values() if measured is None), "")
    serving = tuple(
        _tried(row, worst(seen) if seen else None, untried) if row.engine == engine else row for row in report.serving
    )
    contents = tuple(_part(each, engine, trials, serving) for each in report.contents)
    return replace(report, serving=serving, contents=contents)


def not_tried(report: Report, engine: str, reason: str) -> Report:
    """Return a report in which the engine's rows say why it was tried with none of the adapters."""
    folders = [formats.folder_of(each.path) for each in report.contents if each.proven]
    return tried(report, engine, dict.fromkeys(folders or [""], (None, reason)))


def _tried(row: Serving, measured: Measured | None, untried: str) -> Serving:
    """Return an engine's answer with what was measured; while an adapter was not tried, only what is worse counts."""
    row = _by_rules(row)
    answer = judged(row, measured) if measured else row
    if not untried:
        return answer
    return replace(row if answer.outcome == row.outcome else answer, untried=untried[:MAX_REASON])


def _part(content: Content, engine: str, trials: Trials, serving: tuple[Serving, ...]) -> Content:
    """Return an adapter with the engines that serve it, by its own rows, or by those of the report if it is alone."""
    trial = trials.get(formats.folder_of(content.path)) if content.proven else None
    if trial is None:
        return content
    rows = serving
    if content.serving is not None:
        answers = (_tried(row, *trial) if row.engine == engine else row for row in content.serving)
        rows = tuple(row for row in answers if row.outcome == "serves" or row.untried == WAITING)
    return replace(
        content,
        serves=tuple(row.engine for row in rows if row.outcome == "serves"),
        serving=None if content.serving is None else rows,
    )


def title(measured: Measured) -> str:
    """Return the engine that was tried, as people write it: vLLM 0.32.0."""
    name, _, version = measured.engine.partition(" ")
    return f"{TITLES.get(name, name)} {version}"


def worst(answers: list[Measured]) -> Measured:
    """Return the measurement of the adapter that fared worst."""
    return max(answers, key=lambda measured: (SEVERITY.index(_outcome(measured)[0]), measured.of - measured.modules))


def _outcome(measured: Measured) -> tuple[Serves, str]:
    if measured.stopped:
        limit = f"{title(measured)} was tried with it, and stopped {measured.stopped}"
        return "unknown", f"{limit}, which says nothing about the adapter."
    if measured.refusal:
        return "refuses", f"{title(measured)} was tried with it, and refuses: {measured.refusal.rstrip('.')}."
    if measured.answer in ANSWERS:
        return "wrong", f"{title(measured)} ran it on a small base of this architecture, {ANSWERS[measured.answer]}"
    if measured.modules >= measured.of:
        return "serves", ""
    missed = some([name[:120] for name in measured.missed], 3)
    reached = f"{title(measured)} was tried with it: {measured.modules:g} of {measured.of:g} modules of the adapter"
    if measured.modules:
        return "wrong", f"{reached} meet a module of its model, and the others are dropped without an error: {missed}."
    return "wrong", (
        f"{reached} meet a module of its model, so the base alone answers, without an error. Not there: {missed}. "
        "Often the adapter was trained on another class of the base, whose modules have other paths."
    )
