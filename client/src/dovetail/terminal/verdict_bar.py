"""The bar of a verdict in a terminal: seven interlocking marks, one for each area of checks, never by colour alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from dovetail.base.verdicts import Check, Verdict

AREAS = ("file", "config", "tensors", "base", "fit", "run", "eval")
COUNTED_TO = {
    "load": "run", "limits": "run", "engine": "run", "card": "file", "privacy": "file",
    "eval.random-head": "fit",  # it looks for a head in the file and measures nothing
}  # fmt: skip
NOT_ALONE = frozenset({"eval.random-head"})  # a pass of it alone does not mean that its area was checked
STYLES = {"passed": "green", "noted": "yellow", "failed": "bold red", "running": "blue", "waiting": "bright_black"}
STATE_STYLES = {
    "passed": "green",
    "failed": "bold red",
    "errored": "bold magenta",
    "running": "blue",
    "queued": "bright_black",
}
# The body of a mark, seven cells wide: notched if an area failed, hollow if it was never reached.
BODIES = {"passed": "███████", "noted": "███!███", "failed": "██ ✗ ██", "running": "▒▒▒▒▒▒▒", "waiting": "       "}
LETTERS = {"passed": "ok", "noted": "note", "failed": "FAILED", "running": "...", "waiting": "-"}
MARKS = {"passed": "✓", "warned": "!", "failed": "✗", "skipped": "·"}
PLAIN_MARKS = {"passed": "ok", "warned": "!", "failed": "X", "skipped": "-"}
CHECK_STYLES = {"passed": "green", "warned": "yellow", "failed": "bold red", "skipped": "bright_black"}


@dataclass(frozen=True)
class Area:
    """An area and its outcome: passed, noted, failed, running or waiting."""

    name: str
    outcome: str


def areas(verdict: Verdict) -> list[Area]:
    """Return the seven areas of a verdict, always in the same order."""
    return [Area(area, _outcome([c for c in verdict.checks if area_of(c) == area], verdict.state)) for area in AREAS]


def area_of(check: Check) -> str:
    """Return the area that a check belongs to."""
    prefix = check.id.partition(".")[0]
    return COUNTED_TO.get(check.id) or COUNTED_TO.get(prefix, prefix)


def _outcome(checks: Sequence[Check], state: str) -> str:
    outcomes = {check.outcome for check in checks if check.outcome != "passed" or check.id not in NOT_ALONE}
    for outcome, shown in (("failed", "failed"), ("warned", "noted"), ("passed", "passed")):
        if outcome in outcomes:
            return shown
    return "running" if state == "running" else "waiting"


def draw(verdict: Verdict, *, blocks: bool) -> Text:
    """Return the bar: blocks above labels, 63 cells wide, or one line of words where blocks cannot be shown."""
    row = areas(verdict)
    return _blocks(row) if blocks else _words(row)


def _blocks(row: Sequence[Area]) -> Text:
    shapes, labels = Text(), Text()
    for index, area in enumerate(row):
        left, right = ("▜", "▛") if index % 2 == 0 else ("▟", "▙")  # tails are wider above, pins below
        shapes.append(f"{left}{BODIES[area.outcome]}{right}", STYLES[area.outcome])
        labels.append(f"{area.name:^9}", STYLES[area.outcome])
    return Text("\n").join([shapes, labels])


def _words(row: Sequence[Area]) -> Text:
    return Text(" ").join(Text(f"[{area.name} {LETTERS[area.outcome]}]", STYLES[area.outcome]) for area in row)


def summary(verdict: Verdict) -> str:
    """Return the state and how many of the checks that ran did not fail."""
    ran = [check for check in verdict.checks if check.outcome != "skipped"]
    good = len(ran) - len(verdict.failed_checks)
    return f"{verdict.state}, {good} of {len(ran)} checks" if ran else verdict.state
