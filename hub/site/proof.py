"""A verdict as pages show it: each measure beside what it is compared with, the engines that serve it, what failed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dovetail.adapters.results.report import CheckResult, Evaluation, KnownBase, Report, Sample, Serving
from dovetail.adapters.serving import ENGINES
from hub.site.measures import score
from hub.site.pictures import Dumbbell, Label, Mark, dumbbell, placed
from hub.site.verdict_summary import AreaResult, summarize
from registry.models import Regression, Revision, Verdict
from registry.proof.verdicts import queue
from registry.proof.verified import regressions

ENGINE_TITLES = {engine.name: engine.title for engine in ENGINES}
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


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines that serve a version, and those that cannot."""

    serve: list[Served]
    cannot: list[Served]


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
    title = ENGINE_TITLES.get(answer.engine, answer.engine)
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


LABELS = {  # of the marks on a line, where there is room for a word
    "base": _("base"),
    "guess": _("guess"),
    "head": _("head"),
    "previous": _("before"),
    "adapter": _("this"),
    "claimed": _("claim"),
}
NEUTRAL = "neutral"  # the name of our own rows, on which every adapter without others is run


@dataclass(frozen=True, slots=True)
class Document:
    """A verdict as pages show it: the report, and the columns of its row. `waits_long`: for more than its turn."""

    report: Report
    reason: str = ""
    waits_long: bool = False
    finished_at: datetime | None = None
    duration_ms: int | None = None

    @property
    def state(self) -> str:
        return self.report.state


def document(verdict: Verdict, *, in_list: bool = False) -> Document:
    """Return a verdict as pages show it; `in_list` without its place in the queue, which costs queries for each."""
    waits_long = bool(verdict.reason or verdict.held_at)
    reason = verdict.reason if in_list else queue.why(verdict)
    return Document(verdict.report, reason, waits_long, verdict.finished_at, verdict.duration_ms)


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric: the frozen base, the version before, this one and what the card claims, on one scale."""

    name: str
    metric: str
    rows: int
    picture: Dumbbell
    interval: tuple[float, ...] | None = None  # of this version's number, at 95 %
    baseline: str = "base"  # or `guess`, where no model was run for it
    less_is_better: bool = False
    claimed_on: str | None = None  # the data of the claim, if it is not that of these rows

    @property
    def adapter(self) -> Mark | None:
        return self.picture.at("adapter")

    @property
    def values(self) -> dict[str, float]:
        return {mark.who: mark.value for mark in self.picture.marks}

    @property
    def claim_words(self) -> str:
        """Return the claims of the card in words."""
        return next((mark.label for mark in self.picture.marks if mark.who == "claimed"), "")

    @property
    def labels(self) -> list[Label]:
        """The names of the marks with their numbers, as far as they find room beside the line."""
        words = LABELS | {"base": LABELS[self.baseline]}
        order = ("adapter", "base", "head", "claimed", "previous")
        marks = sorted(self.picture.marks, key=lambda mark: order.index(mark.who))
        return placed((mark, f"{words[mark.who]} {score(mark.value, self.rows)}") for mark in marks)

    @property
    def is_neutral(self) -> bool:
        """True for a measurement on plain sentences, which says nothing of the adapter's task."""
        return self.name == NEUTRAL


@dataclass(frozen=True, slots=True)
class Proof:
    """Everything that the page of a verdict says."""

    document: Document
    areas: list[AreaResult]
    failed: list[CheckResult]
    served: list[Served]
    fits: Fits

    @property
    def ran(self) -> int:
        return sum(area.ran for area in self.areas)

    @property
    def tally(self) -> str:
        """The number of failed checks, else of all, in words; empty if none ran."""
        if not self.ran:
            return ""
        if self.failed:
            return gettext("{failed} of {count} checks failed").format(failed=len(self.failed), count=self.ran)
        return gettext("{passed} of {count} checks").format(passed=self.ran, count=self.ran)

    @property
    def report(self) -> Report:
        return self.document.report

    @property
    def engines(self) -> Engines | None:
        """The engines by whether they serve it; None where none was asked."""
        if not self.served:
            return None
        serve = [line for line in self.served if line.outcome == "serves"]
        return Engines(serve, [line for line in self.served if line.outcome in ("refuses", "wrong")])

    @property
    def serving_groups(self) -> list[tuple[list[Served], bool]]:
        """The engines that serve it or may, and those that cannot, which a page folds beside others."""
        cannot = self.engines.cannot if self.engines else []
        others = [line for line in self.served if line not in cannot]
        return [(lines, is_folded) for lines, is_folded in ((others, False), (cannot, bool(others))) if lines]

    @property
    def samples(self) -> tuple[Sample, ...]:
        return self.report.samples

    @property
    def is_open(self) -> bool:
        return self.document.state in ("queued", "running")


def proof(verdict: Verdict, report: Report) -> Proof:
    """Return a verdict as its page says it, of which `report` is the part that the visitor may read."""
    shown = replace(document(verdict), report=report)
    failed = report.failed if report.state != "errored" else []
    return Proof(shown, summarize(report), failed, served(report), fits(report))


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of a verdict, and the comparison with the verified version before it, where it was made."""

    measured: list[Measured]
    regression: Regression | None

    @property
    def headline(self) -> Measured | None:
        """The one that says most, for the top of a page."""
        return next((item for item in self.measured if not item.is_neutral), None)

    @property
    def shown(self) -> set[str]:
        """The classes of marks that any of them has: the columns of their table."""
        return {mark.who for item in self.measured for mark in item.picture.marks}


def metrics(revision: Revision, proof: Proof | None) -> Metrics:
    """Return what was measured of a revision, the deciding metric beside the version before on the same rows."""
    if proof is None:
        return Metrics([], None)
    regression = regressions.regression_of(revision) if proof.report.is_passed else None
    before = regression.result if regression else {}
    return Metrics([compared_metric(item, _previous(item, before)) for item in proof.report.evals], regression)


def _previous(item: Evaluation, before: Mapping[str, Any]) -> float | None:
    """Return the number of the version before, if the comparison with it is about this measurement."""
    is_same = before.get("metric") == item.metric and before.get("now") == item.adapter
    return before.get("before") if is_same else None


def compared_metric(item: Evaluation, previous: float | None = None) -> Measured:
    """Return one metric as pages show it, beside the number of the version before on the same rows."""
    claimed = gettext("claimed in card")
    if item.claimed_on:
        claimed = gettext("claimed in card on %(data)s: other data, not judged") % {"data": item.claimed_on}
    values = (
        ("base", gettext("a guess, no model") if item.guess else gettext("base, frozen"), item.base),
        ("head", gettext("its head alone"), item.head_alone),
        ("previous", gettext("the version before"), previous),
        ("adapter", gettext("this revision"), item.adapter),
        ("claimed", claimed, item.claimed),
    )
    return Measured(
        item.name,
        item.metric,
        int(item.rows),
        dumbbell(values, item.interval),
        item.interval,
        "guess" if item.guess else "base",
        less_is_better=item.better == "lower",
        claimed_on=item.claimed_on,
    )
