"""Runs checks and collects their results; the checks themselves are in `checks` and in the engine."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from dovetail.adapters.results.report import CheckResult, Outcome

Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer other than "passed" with a sentence. `where` holds names and numbers for programs."""

    outcome: Outcome
    message: str
    fix: str = ""
    where: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check(Generic[Subject]):
    """A check answers with a sentence if it passes, else with a finding.

    It is skipped if a check named in `needs`, or any check of an area named there ("file", "config"), has failed.
    """

    id: str
    ask: Callable[[Subject], str | Finding]
    needs: Sequence[str] = ()


def failed(message: str, fix: str, **where: object) -> Finding:
    return Finding("failed", message, fix, where)


def warned(message: str, fix: str, **where: object) -> Finding:
    return Finding("warned", message, fix, where)


def skipped(message: str) -> Finding:
    return Finding("skipped", message)


def run(checks: Iterable[Check[Subject]], subject: Subject, failed_before: Iterable[str] = ()) -> Iterator[CheckResult]:
    """Run checks in order and yield each result as it comes. The caller handles what a check raises."""
    failures = set(failed_before)
    for check in checks:
        began = time.perf_counter()
        answer = _ask(check, subject, failures)
        finding = Finding("passed", answer) if isinstance(answer, str) else answer
        if finding.outcome == "failed":
            failures.add(check.id)
        took = round((time.perf_counter() - began) * 1000, 2)
        yield CheckResult(check.id, finding.outcome, finding.message, finding.fix, finding.where, took)


def _ask(check: Check[Subject], subject: Subject, failures: set[str]) -> str | Finding:
    for need in check.needs:
        for culprit in sorted(failures):
            if culprit == need or culprit.partition(".")[0] == need:
                return skipped(f"Not checked, because {culprit} failed.")
    return check.ask(subject)


def within(finding: Finding, place: str) -> Finding:
    """Return a finding about one part of an adapter, with the folder of the part added; "" is the top."""
    if not place:
        return finding
    return replace(finding, message=f"In {place}/: {finding.message}", where={**finding.where, "path": place})


def some(names: Iterable[str], most: int = 5) -> str:
    """Return the first few of many names, for a sentence."""
    listed = sorted(names)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more:,} more" if more > 0 else "")
