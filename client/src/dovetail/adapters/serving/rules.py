"""The type of a serving rule, and how an engine is asked; each engine has its rules in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from dovetail.adapters.findings import some
from dovetail.adapters.serving.subject import Subject

Outcome = Literal["serves", "refuses", "wrong"]
MAX_REASON = 900


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which an engine does not give what the author trained.

    `applies` answers with what it found (put into `sentence` at {}), or with nothing. `refuses` is an error that is
    seen; `wrong` is an answer without an error that is not the adapter's. `source` is the file that says so, in the
    engine's repository at the engine's version.
    """

    id: str
    outcome: Literal["refuses", "wrong"]
    source: str
    applies: Callable[[Subject], object]
    sentence: str


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that serves adapters, at the version whose source was read. `flags` are what its start needs."""

    name: str
    title: str
    version: str
    project: str
    rules: Sequence[Rule]
    flags: Callable[[Subject], list[str]]
    serves: Callable[[Subject], str]


@dataclass(frozen=True, slots=True)
class Serving:
    """The answer of one engine for one adapter; `flags` is empty unless it serves."""

    engine: str
    version: str
    outcome: Outcome
    reason: str
    flags: list[str]
    rules: list[str]


def ask(engine: Engine, subject: Subject) -> Serving:
    """Asks all rules. A refusal is told before a wrong answer, as nobody gets the wrong answer then."""
    broken = [(rule, found) for rule in engine.rules if (found := rule.applies(subject))]
    outcome: Outcome = "serves"
    if broken:
        outcome = "refuses" if any(rule.outcome == "refuses" for rule, _ in broken) else "wrong"
    told = [(rule, found) for rule, found in broken if rule.outcome == outcome]
    reason = " ".join(rule.sentence.format(_said(found)) for rule, found in told) or engine.serves(subject)
    flags = engine.flags(subject) if outcome == "serves" else []
    return Serving(engine.name, engine.version, outcome, reason[:MAX_REASON], flags, [rule.id for rule, _ in told])


def _said(found: object) -> str:
    """Return the value that a rule found, as part of a sentence."""
    if isinstance(found, str):
        return found[:200]
    if isinstance(found, list | tuple | set | frozenset):
        return some([str(item)[:120] for item in found], 3)
    return f"{found:g}" if isinstance(found, float) else str(found)[:200]
