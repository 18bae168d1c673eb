"""The engines that serve an adapter and the known bases that it fits, as pages show it."""

from dataclasses import dataclass

from dovetail.adapters.report import KnownBase, Report, Serving
from dovetail.adapters.serving import ENGINES, measured

TITLES = {engine.name: engine.title for engine in ENGINES}
MARKS = {"serves": "●", "refuses": "○", "wrong": "✕", "unknown": "?"}  # outcomes without colour
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
    def is_measured(self) -> bool:
        """True if the engine was tried, and that decided; a rule decided otherwise."""
        return self.answer.by == "measured"

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
