"""The engines that serve an adapter and the known bases that it fits, as pages show it."""

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from dovetail.adapters.results.report import EngineRow, Evaluation, KnownBase, Report, Serving
from dovetail.adapters.serving import ENGINES, measured

TITLES = {engine.name: engine.title for engine in ENGINES}
MARKS = {"serves": "●", "refuses": "○", "wrong": "✕", "unknown": "?"}  # outcomes without colour
SOURCES = {"measured": _("measured"), "by rule": _("by rule"), "not tried yet": _("not tried yet")}
COLOURS = {"serves": "passed", "refuses": "", "wrong": "failed", "unknown": ""}
MOST_BASES = 12


@dataclass(frozen=True, slots=True)
class Served:
    """One engine's line; `answer` is what the report holds."""

    title: str
    version: str
    outcome: str
    colour: str
    answer: Serving

    @property
    def mark(self) -> str:
        return MARKS[self.outcome]

    @property
    def reason(self) -> str:
        return self.answer.reason

    @property
    def source(self) -> str:
        """The source of the outcome: `measured`, `by rule`, or `not tried yet`."""
        return str(SOURCES[self.answer.source])

    @property
    def tried(self) -> str:
        """The engine and its release that reached the modules; "" for one that was not tried, refused or stopped."""
        seen = self.answer.measured
        return measured.title(seen) if seen and not (seen.refusal or seen.stopped) else ""


@dataclass(frozen=True, slots=True)
class Fits:
    """The bases it fits, those it does not and why; `note` says what shapes cannot tell."""

    yes: list[KnownBase]
    no: list[KnownBase]
    note: str
    more: int

    def __bool__(self) -> bool:
        return bool(self.yes or self.no)


@dataclass(frozen=True, slots=True)
class Judged:
    """One engine of the hub that judged it; `differing` are its numbers that the deciding engine does not share."""

    row: EngineRow
    decided: bool
    differing: list[Evaluation]


def judged(report: Report) -> list[Judged]:
    """Return a line for each engine of this hub that loaded it."""
    name = report.engine.name if report.engine else ""
    decided = next((row for row in report.engines if row.name == name), None)
    return [Judged(row, row is decided, row.differs(decided) if decided else []) for row in report.engines]


def served(report: Report) -> list[Served]:
    """Return a line for every engine that was asked: the ones that serve it, the wrong ones, refusals, unknown ones."""
    order = ("serves", "wrong", "refuses", "unknown")
    lines = [_line(answer) for answer in report.serving]
    return sorted(lines, key=lambda line: order.index(line.outcome))


def _line(answer: Serving) -> Served:
    title = TITLES.get(answer.engine, answer.engine)
    version = "" if answer.version.startswith(title.rpartition(" ")[2]) else answer.version
    colour = COLOURS[answer.outcome]
    return Served(title, version, answer.outcome, colour, answer)


def fits(report: Report) -> Fits:
    """Return the bases that were asked when it was validated; a base that came later is asked at the next one."""
    if report.fits is None:
        return Fits([], [], "", 0)
    bases = report.fits.bases
    yes, no = [base for base in bases if base.fits], [base for base in bases if not base.fits]
    return Fits(yes[:MOST_BASES], no[:MOST_BASES], report.fits.note, max(0, len(no) - MOST_BASES))
