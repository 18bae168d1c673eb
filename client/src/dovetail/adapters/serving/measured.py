"""The answer of the rules joined with what the engine itself did when it was tried with the adapter."""

from __future__ import annotations

from dataclasses import replace

from dovetail.adapters.findings import some
from dovetail.adapters.report import Measured, Serves, Serving
from dovetail.adapters.serving import ENGINES
from dovetail.adapters.serving.rules import MAX_REASON

TITLES = {engine.name: engine.title for engine in ENGINES}
ANSWERS = {
    "base": "loads it without an error, and answers as the base alone does.",
    "neither": "loads it without an error, and answers neither as PEFT does with it nor as the base alone.",
}
SEVERITY: tuple[Serves, ...] = ("serves", "unknown", "wrong", "refuses")


def judged(answer: Serving, measured: Measured) -> Serving:
    """Return an engine's answer with what it did: the worse of both outcomes counts.

    A rule that decides against an adapter stays: it may know what a trial of this depth cannot see.
    """
    outcome, reason = _outcome(measured)
    if SEVERITY.index(outcome) < SEVERITY.index(answer.outcome):
        return replace(answer, by="rule", measured=measured)
    if outcome == answer.outcome:
        return replace(answer, by="measured", measured=measured)
    return replace(
        answer, outcome=outcome, reason=reason[:MAX_REASON], flags=[], by="measured", measured=measured
    )  # fmt: skip


def title(measured: Measured) -> str:
    """Return the engine that was tried, as people write it: vLLM 0.32.0."""
    name, _, version = measured.engine.partition(" ")
    return f"{TITLES.get(name, name)} {version}"


def worst(answers: list[Measured]) -> Measured:
    """Return the measurement of the adapter that fared worst."""
    return max(answers, key=lambda measured: (SEVERITY.index(_outcome(measured)[0]), measured.of - measured.modules))


def _outcome(measured: Measured) -> tuple[Serves, str]:
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
