"""The part of a report that a caller may read: all of it, or at a gate nothing that quotes the files behind it."""

from dataclasses import replace

from dovetail.adapters.results.report import CheckResult, Report
from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.models import Repository

WITHHELD = "It found something in the files, which those who may read them see."


def shown_to(report: Report, by: Caller, repository: Repository) -> Report:
    """Return a report without samples and without the places of private data for a caller outside the gate."""
    if policy.passes_gate(by, repository):
        return report
    # A program quotes a row, and so do the names of labels and what it printed.
    return replace(report, samples=(), usage=None, programs=None, checks=tuple(map(_without_places, report.checks)))


def _without_places(check: CheckResult) -> CheckResult:
    if not check.id.startswith("privacy.") or check.outcome == "passed":
        return check
    return replace(check, message=WITHHELD, where={})
