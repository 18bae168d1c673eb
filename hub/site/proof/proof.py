"""A verdict as pages show it: the document, each measure beside what it is compared with, and what failed."""

from dataclasses import dataclass, replace
from datetime import datetime

from django.utils.translation import gettext

from dovetail.adapters.results.report import CheckResult, Evaluation, Report, Sample
from hub.site.pictures.dumbbell import Dumbbell, Mark, dumbbell
from hub.site.pictures.strength import Curve, curve
from hub.site.proof.compatibility import Fits, Judged, Served, fits, judged, served
from hub.site.verdict_summary import AreaResult, summarize
from registry.models import Verdict
from registry.proof import verdicts

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


def document(verdict: Verdict) -> Document:
    """Return a verdict as pages show it."""
    waits_long = bool(verdict.reason or verdict.held_at)
    return Document(verdict.report, verdicts.why(verdict), waits_long, verdict.finished_at, verdict.duration_ms)


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
    def base(self) -> Mark | None:
        return self.picture.at("base")

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
    measured: list[Measured]
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
    def headlines(self) -> list[Measured]:
        """The numbers that say most, for the top of a page."""
        return [item for item in self.measured if not item.is_neutral][:2]

    @property
    def base_words(self) -> str:
        """The name of the base beside the adapter; its head is untrained where a guess stands for its score."""
        return (
            gettext("Base, untrained head")
            if any(item.guess for item in self.report.evals)
            else gettext("Base, frozen")
        )

    @property
    def report(self) -> Report:
        return self.document.report

    @property
    def judged(self) -> list[Judged]:
        """A line for each engine of the hub that loaded it."""
        return judged(self.report)

    @property
    def curve(self) -> Curve | None:
        return curve(self.report.strength)

    @property
    def samples(self) -> tuple[Sample, ...]:
        return self.report.samples

    @property
    def expects(self) -> bool:
        """True where a sample has an expected answer."""
        return any(sample.expected for sample in self.samples)

    @property
    def is_open(self) -> bool:
        return self.document.state in ("queued", "running")


def proof(verdict: Verdict, report: Report) -> Proof:
    """Return a verdict as its page says it, of which `report` is the part that the visitor may read."""
    shown = replace(document(verdict), report=report)
    failed = report.failed if report.state != "errored" else []
    return Proof(
        shown, summarize(report), failed, [measured(item) for item in report.evals], served(report), fits(report)
    )


def measured(item: Evaluation, previous: float | None = None) -> Measured:
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
