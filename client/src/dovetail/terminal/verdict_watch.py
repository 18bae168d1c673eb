"""Waits for a verdict and prints it, and exits with its status."""

from collections.abc import Mapping

import typer

from dovetail.adapters.results.report import Content
from dovetail.api.client import Client
from dovetail.base.problems import DONE, HELD_BACK, REFUTED, UNDECIDED, Problem, interrupted
from dovetail.base.verdicts import Verdict
from dovetail.terminal.printer import Printer

# Of a state that is not here, the verdict has not been reached, or a newer hub says more than we know.
STATUSES = {"passed": DONE, "failed": REFUTED, "errored": REFUTED}


def watch_if_judged(
    printer: Printer, caller: Client, adapter: str, revision: str, timeout: float | None = None
) -> Verdict | None:
    """Return the finished verdict, or None for a revision without an adapter, which gets no verdict."""
    try:
        return watch(printer, caller, adapter, revision, timeout)
    except Problem as problem:
        if problem.code != "verdict-not-applicable":
            raise
        printer.note(f"{problem.detail} So there is no verdict.")
        return None


def watch(printer: Printer, caller: Client, adapter: str, revision: str, timeout: float | None = None) -> Verdict:
    """Print checks as they arrive and return the verdict: finished, or as it is after `timeout` seconds."""
    try:
        with printer.waiting(f"waiting for the verdict of {adapter}"):
            return _watch(printer, caller, adapter, revision, timeout)
    except KeyboardInterrupt:
        raise interrupted(
            "Stopped waiting: the hub goes on judging.", f"Ask again: dovetail verdict {adapter}@{revision} --wait"
        ) from None


def _watch(printer: Printer, caller: Client, adapter: str, revision: str, timeout: float | None) -> Verdict:
    printed, reason = 0, ""
    for verdict in caller.verdicts(adapter, revision, timeout=timeout):
        waits = str(verdict.renewal.get("reason") or "") or (verdict.reason if verdict.state == "queued" else "")
        if waits and reason != waits:
            reason = waits
            printer.note(reason)
        if len(verdict.checks) < printed:  # another attempt began
            printer.note("The attempt was lost; another one begins.")
            printed = 0
        if printer.is_human and not verdict.renewal:  # these are the checks of the one in force
            printer.checks(verdict.checks[printed:])
            printed = len(verdict.checks)
    return verdict


def conclude(printer: Printer, verdict: Verdict, pushed: Mapping[str, object] | None = None) -> None:
    """Print the verdict, inside the push's document after a push, and exit with its status."""
    if printer.as_json:
        printer.document({**pushed, "verdict": verdict.document} if pushed else verdict.document)
    elif printer.quiet:
        printer.line(verdict.state)
        for check in verdict.failed_checks:
            printer.line(check.id)
    else:
        printer.conclusion(verdict)
        for part, line in _parts(verdict):
            printer.line(line)
            printer.serving(part.serving or ())
        if verdict.errored_renewal:
            printer.line(f"the newest validation errored: {verdict.errored_renewal.get('reason')}")
            printer.line("the verdict before it, above, stays in force")
        if failed := verdict.failed_checks:
            printer.line("failed: " + " ".join(check.id for check in failed))
        if verdict.passed and (reason := verdict.verified.get("reason")):
            printer.line(f"not verified: {reason}")
            printer.line(f"fix: {verdict.verified.get('fix')}")
        elif verdict.held_back:
            printer.line("held back: verified stays with the version before, which measured better")
    raise typer.Exit(status_of(verdict))


def _parts(verdict: Verdict) -> list[tuple[Content, str]]:
    """Return each of several adapters in one repository, and a line with its own part of the verdict."""
    proven = [part for part in verdict.contents if part.proven and part.state]
    ends = [f" by {' '.join(part.failed)}" if part.failed else "" for part in proven]
    lines = [f"{part.path or 'the top'}: {part.state}{end}" for part, end in zip(proven, ends, strict=True)]
    return list(zip(proven, lines, strict=True)) if len(lines) > 1 else []


def status_of(verdict: Verdict) -> int:
    """Return the exit status that a verdict stands for."""
    return HELD_BACK if verdict.held_back else STATUSES.get(verdict.state, UNDECIDED)
