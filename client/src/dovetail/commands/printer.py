"""The output of the command line: for people (rich, in colour on a terminal), for programs (JSON), or quiet.

The bar of a verdict is seven interlocking marks, one for each area of checks, never by colour alone.
"""

import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, groupby, islice
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from dovetail import ids
from dovetail.adapters.results.report import Evaluation, Sample, Serving
from dovetail.answers.adapters import FitAnswer
from dovetail.problems import Problem
from dovetail.store import transfers
from dovetail.verdicts import Check, Verdict

COLUMN_GAP, NARROWEST = 2, 12  # cells between two columns, and of a column that is cut short
AREAS = ("file", "config", "tensors", "base", "fit", "run", "eval")
COUNTED_TO = {
    "load": "run",
    "limits": "run",
    "engine": "run",
    "card": "file",
    "privacy": "file",
    "eval.random-head": "fit",  # it looks for a head in the file and measures nothing
}
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


def areas_of(verdict: Verdict) -> list[Area]:
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


def draw_bar(verdict: Verdict, *, blocks: bool) -> Text:
    """Return the bar: blocks above labels, 63 cells wide, or one line of words where blocks cannot be shown."""
    row = areas_of(verdict)
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


def summary_of(verdict: Verdict) -> str:
    """Return the state and how many of the checks that ran did not fail."""
    ran = [check for check in verdict.checks if check.outcome != "skipped"]
    good = len(ran) - len(verdict.failed_checks)
    return f"{verdict.state}, {good} of {len(ran)} checks" if ran else verdict.state


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SCHEMA = 1  # of all documents: a member that goes or changes its meaning makes it 2; new members do not
MAX_SAMPLES = 4
ID_CELLS = 25  # the longest check id, eval.worse-than-base and privacy.training-data, fits


class _Pipe(io.FileIO):
    """Standard output whose reader may close it, as `head` does: drop the rest, and keep the exit status."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)


def settle_streams() -> None:
    """Make both streams accept every character on old terminals, and survive a reader that closes the pipe."""
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper) and not out.isatty():
        raw = io.BufferedWriter(_Pipe(out.fileno(), "w", closefd=False))
        sys.stdout = io.TextIOWrapper(raw, out.encoding, line_buffering=out.line_buffering)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a ≥ in a message must not crash a command on an old terminal


class Printer:
    """Prints answers to stdout, and notes and problems to stderr."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json, self.quiet = as_json, quiet
        self.out = Console(highlight=False, soft_wrap=True)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)
        self.blocks = _can_show("▟█▙✓✗", self.out)

    @property
    def is_human(self) -> bool:
        return not (self.as_json or self.quiet)

    def line(self, text: str) -> None:
        """Print an answer."""
        print(safe(text))  # noqa: T201  # plain: rich would fold a path at the width of the terminal

    def document(self, document: Mapping[str, Any]) -> None:
        """Print an answer for programs."""
        print(json.dumps({"schema": SCHEMA, **document}, indent=2))  # noqa: T201  # plain, as in line

    def answer(self, document: Mapping[str, Any], line: str, note: str = "") -> None:
        """Print an answer for programs, or its line and a note to people."""
        if self.as_json:
            self.document(document)
            return
        self.line(line)
        if note:
            self.note(note)

    def listing(
        self, document: Mapping[str, Any], columns: Sequence[str], rows: Sequence[Sequence[object]], none: str
    ) -> None:
        """Print a list for programs, or its rows; `none` is the note where there are no rows."""
        if self.as_json:
            self.document(document)
            return
        self.rows(columns, rows)
        if not rows:
            self.note(none)

    def note(self, text: str) -> None:
        """Print a note to people."""
        if self.is_human:
            sys.stdout.flush()  # where both go to one file, what was printed before comes before
            self.err.print(Text(safe(text)))

    def names(self, paths: Iterable[str]) -> None:
        """Note the paths of a folder that Windows cannot have."""
        told = [f"{path}: {why}" for path in paths if (why := ids.windows_problem(path))]
        if told:
            more = f" (and {len(told) - 1:,} more)" if told[1:] else ""
            self.note(f"Nobody can pull it whole on Windows: {told[0]}{more}.")

    def as_of(self, moment: str) -> None:
        """Note when an answer was true that the hub has not given now."""
        at = datetime.fromisoformat(moment).astimezone()
        is_today = at.date() == datetime.now().astimezone().date()
        clock = f"{at:%H:%M}" if is_today else f"{at:%Y-%m-%d %H:%M}"
        self.note(f"As of {clock}: the hub does not answer, or was not asked.")

    def problem(self, problem: Problem) -> None:
        """Print a problem and its fix."""
        if self.as_json:
            self.document(problem.document())
            return
        self.err.print(Text("dovetail: ", "bold red").append(safe(problem.detail), "default"))
        if problem.fix:
            self.err.print(Text("  " + safe(problem.fix)))

    def rows(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print rows: a table on a terminal, lines with tabs elsewhere, and the first column alone where quiet."""
        cells = [[safe("" if cell is None else str(cell)) for cell in row] for row in rows]
        if self.quiet or not self.out.is_terminal:
            for row in cells:
                self.line(row[0] if self.quiet else "\t".join(row))
            return
        shown = self._fitting(columns, cells)
        table = Table(box=None, padding=(0, COLUMN_GAP, 0, 0), header_style="bold", pad_edge=False)
        for number, column in enumerate(columns[:shown]):
            least = None if number else min(max((len(row[0]) for row in cells), default=0), self.out.width)
            table.add_column(column, overflow="ellipsis" if number else "fold", no_wrap=number > 0, min_width=least)
        for row in cells:
            table.add_row(*map(Text, row[:shown]))
        self.out.print(table, soft_wrap=False)

    def _fitting(self, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
        """Return how many columns the terminal has room for: ids never shrink, and the last columns go first."""
        widths = [max(len(text) for text in (column, *(row[at] for row in cells))) for at, column in enumerate(columns)]
        needed = [widths[0], *(min(width, NARROWEST) for width in widths[1:])]
        ends = accumulate(width + COLUMN_GAP for width in needed)
        return max(1, sum(end - COLUMN_GAP <= self.out.width for end in ends))

    def pairs(self, pairs: Mapping[str, object]) -> None:
        """Print names and values, a pair a line; without a value there is no line."""
        for name, value in pairs.items():
            if value not in (None, ""):
                self.line(f"{name:<11}{value}")

    @contextmanager
    def waiting(self, words: str) -> Iterator[None]:
        """Show that something is waited for, where both streams are a terminal: what is printed then goes above."""
        if not (self.is_human and self.out.is_terminal and self.err.is_terminal):
            yield
            return
        with self.err.status(escape(safe(words))):
            yield

    @contextmanager
    def steps(self, total: int) -> Iterator[Callable[[str], None]]:
        """Show how many of the steps of a long command are done; each is told in a line."""
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.err, disable=not (self.is_human and self.err.is_terminal)) as progress:
            bar = progress.add_task("", total=total)

            def tell(words: str) -> None:
                self.note(words)
                progress.advance(bar)

            yield tell

    @contextmanager
    def downloads(self) -> Iterator[transfers.Progress]:
        """Show a bar for each file while it arrives."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=False),
            TransferSpeedColumn(),
        )
        bars: dict[str, TaskID] = {}
        with Progress(*columns, console=self.err, disable=not (self.is_human and self.err.is_terminal)) as progress:

            def show(path: str, done: int, size: int) -> None:
                if path not in bars:
                    bars[path] = progress.add_task(escape(safe(path)), total=size)
                progress.update(bars[path], completed=done)

            yield show

    # --- verdicts ----------------------------------------------------------------------------------------------------
    def checks(self, checks: tuple[Check, ...]) -> None:
        """Print checks, one a line, and the fix below a failed or noted one."""
        marks = MARKS if self.blocks else PLAIN_MARKS
        for check in _gathered(checks):
            mark = Text(f"  {marks.get(check.outcome, '?'):<2}", CHECK_STYLES.get(check.outcome, ""))
            message = Text(safe(check.message), "bold" if check.outcome == "failed" else "")
            self._columns(mark, Text(f"{safe(check.id):<{ID_CELLS}}"), message)
            if check.fix and check.outcome in {"failed", "warned"}:
                self._columns(Text("    "), Text(f"{'fix':>{ID_CELLS}}", "bold"), Text(safe(check.fix)))

    def _columns(self, *cells: Text) -> None:
        """Print a row; on a terminal the last cell is folded below itself, elsewhere a row is one line."""
        if not self.out.is_terminal:
            self.out.print(Text(" ").join(cells))
            return
        grid = Table.grid(padding=(0, 1))
        for _ in cells[:-1]:
            grid.add_column(no_wrap=True)
        grid.add_row(*cells)
        self.out.print(grid, soft_wrap=False)

    def conclusion(self, verdict: Verdict) -> None:
        """Print serving engines, samples, the bar of areas, the state in words, and the numbers of the evaluation."""
        self.serving(verdict.serving)
        self.samples(verdict.samples)
        self.out.print()
        self.out.print(draw_bar(verdict, blocks=self.blocks))
        self.out.print()
        where = f"{verdict.adapter}@{verdict.revision[:12]}" if verdict.revision else verdict.adapter
        summary = safe(summary_of(verdict))
        self.out.print(Text(f"{safe(where)} ").append(summary, STATE_STYLES.get(verdict.state, "")))
        if verdict.reason:
            self.out.print(Text(safe(verdict.reason)))
        for score in verdict.evals:
            self.out.print(Text(safe(_score(score))))

    def samples(self, samples: Iterable[Sample]) -> None:
        """Print a few rows with the answers of the base and of the adapter."""
        for sample in islice(samples, MAX_SAMPLES):
            expected = f"  expected {sample.expected}" if sample.expected else ""
            self._columns(Text("  row    ", "bright_black"), Text(safe(f"{sample.input}{expected}")))
            self._columns(Text("  base   ", "bright_black"), Text(safe(str(sample.base))))
            self._columns(Text("  adapter", "green"), Text(safe(str(sample.adapter))))

    def serving(self, answers: Sequence[Serving]) -> None:
        """Print the engines that serve it, with flags, those that serve it wrongly, and those that refuse it."""
        lines = [answer.commands[0] for answer in answers if answer.commands]
        for pull in [line for line in lines if line.startswith("dovetail ")][:1]:
            self._columns(Text("  pull   ", "bright_black"), Text(safe(pull)))
        for answer in answers:
            if answer.outcome == "serves":
                flags = Text(safe(" ".join(map(str, answer.flags))))
                self._columns(Text("  serves ", "green"), Text(_engine(answer)), flags)
        for answer in answers:
            if answer.outcome == "wrong":
                reason = Text(safe(str(answer.reason)))
                self._columns(Text("  wrong  ", "bold red"), Text(_engine(answer)), reason)
        refusals = [answer for answer in answers if answer.outcome == "refuses"]
        for answer in refusals:
            if answer.by == "measured":
                self._columns(Text("  refuses", "bright_black"), Text(_engine(answer)), Text(safe(str(answer.reason))))
        if refusing := [safe(str(answer.engine)) for answer in refusals if answer.by != "measured"]:
            self._columns(Text("  refuses", "bright_black"), Text(", ".join(refusing)))
        if waiting := [safe(str(answer.engine)) for answer in answers if answer.source == "not tried yet"]:
            self._columns(Text("  not tried yet", "bright_black"), Text(", ".join(waiting)))
        others = [answer for answer in answers if answer.outcome == "unknown" and answer.source != "not tried yet"]
        if unknown := [safe(str(answer.engine)) for answer in others]:
            self._columns(Text("  unknown", "bright_black"), Text(", ".join(unknown)))

    def fits(self, answer: FitAnswer) -> None:
        """Print the bases that an adapter fits, and to people also why it does not fit the others."""
        for base in answer["fits"]:
            self.line(str(base.get("base")))
        if not answer["fits"]:
            self.note("It fits no base that this hub knows.")
        if answer.get("note"):
            self.note(str(answer["note"]))
        for base in answer["misfits"]:
            self.note(f"not {base.get('base')}: {base.get('why')}")


def _gathered(checks: Sequence[Check]) -> Iterator[Check]:
    """Yield the checks, but several in a row that were skipped for the same reason as one."""
    for (outcome, message), group in groupby(checks, key=lambda check: (check.outcome, check.message)):
        alike = list(group)
        if outcome == "skipped" and len(alike) > 1:
            yield Check(f"{len(alike)} checks", outcome, message)
        else:
            yield from alike


def safe(text: str) -> str:
    """Replace control characters, which could command a terminal: hubs and authors of adapters are not trusted."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _engine(answer: Serving) -> str:
    return f"{safe(str(answer.engine)):<10} {answer.source:<8}"


def _score(score: Evaluation) -> str:
    both = f"{score.adapter} with the adapter, {score.base} {'by a guess' if score.guess else 'without'}"
    less = ", less is better" if score.better == "lower" else ""
    line = f"{score.name}: {score.metric} {both} ({score.rows} rows{less})"
    if score.claimed is None:
        return line
    other = f" on {safe(score.claimed_on)}, other data" if score.claimed_on else ""
    return f"{line}, {score.claimed} claimed{other}"


def _can_show(text: str, console: Console) -> bool:
    try:
        text.encode(console.encoding or sys.getdefaultencoding())
    except UnicodeEncodeError:
        return False
    return True
