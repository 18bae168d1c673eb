"""Measurements of a verdict, drawn on its page, and the report of the run that measured it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dovetail.adapters.results.report import Evaluation, Report, Sample, ScalePoint, Strength
from hub.site.measures import score
from hub.site.panels import Pages, Panel
from hub.site.pictures import Axis, Dumbbell, around, dumbbell, finite, with_interval
from hub.site.pictures.heat_map import level_of
from hub.site.proof import NEUTRAL
from hub.site.repository.repository_header import RepositoryHeader
from registry.models import Attempt, Base, Verdict

MAX_POINTS, MAX_LABELS, MAX_VERDICTS, MAX_CHECKS = 12, 30, 6, 5
MAX_COUNT = 1_000_000  # of what an engine says that it counted
OUTCOMES = {"right": _("right"), "partly": _("partly right"), "wrong": _("wrong")}
TOP, BOTTOM = 34.0, 124.0  # the heights of the ends of the axis of scores, in pixels


# --- rows -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row with the answers that were stored of it; `number` counts from 1, and `outcome` is "" where unknown."""

    sample: Sample
    number: int | None
    outcome: str

    @property
    def words(self) -> str:
        return str(OUTCOMES.get(self.outcome, ""))


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a measurement: how much of each is right, from 0 to 1, and those that are stored."""

    total: int
    shares: Sequence[float]
    stored: Sequence[StoredRow]
    base_words: str

    @property
    def right(self) -> int:
        return sum(share == 1 for share in self.shares)

    @property
    def wrong(self) -> int:
        """The number of stored rows that are not all right."""
        return sum(row.outcome in ("wrong", "partly") for row in self.stored)

    @property
    def expects(self) -> bool:
        """True where a row has an expected answer."""
        return any(row.sample.expected for row in self.stored)

    @property
    def bars(self) -> list[tuple[int, str, str, bool]]:
        """The rows as bars: number, outcome, the same in words, and whether the row is stored."""
        stored = {row.number for row in self.stored}
        outcomes = [_outcome(share) for share in self.shares]
        return [(at, one, str(OUTCOMES[one]), at in stored) for at, one in enumerate(outcomes, 1)]


def rows_of(report: Report) -> Rows | None:
    """Return the rows of the deciding number; None where nothing is known of them."""
    item = next((one for one in report.evals if one.name != NEUTRAL), None)
    scores = item.scores if item and item.better == "higher" else None
    shares = scores if scores and all(0 <= share <= 1 for share in scores) else ()
    stored = [StoredRow(sample, *_place(sample, shares)) for sample in report.samples]
    if not shares and not stored:
        return None
    is_guess = any(one.guess for one in report.evals)
    base_words = gettext("Base, untrained head") if is_guess else gettext("Base, frozen")
    return Rows(int(item.rows) if item else 0, shares, stored, base_words)


def _place(sample: Sample, shares: Sequence[float]) -> tuple[int | None, str]:
    """Return the number of a sample's row, and its outcome."""
    if sample.row is None:
        return None, ""
    at = int(sample.row)
    if not 0 <= at < MAX_COUNT:
        return None, ""
    return at + 1, _outcome(shares[at]) if at < len(shares) else ""


def _outcome(share: float) -> str:
    return "right" if share == 1 else "partly" if share > 0 else "wrong"


# --- labels -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ExpectedLabel:
    """The rows of one label: (number of rows, class of the colour) for each answer, and the share that is right."""

    name: str
    cells: Sequence[tuple[int, str]]
    right: int
    total: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """The confusion matrix of labels and answers; labels without a row or an answer are left out."""

    names: Sequence[str]
    rows: Sequence[ExpectedLabel]
    is_of_words: bool  # a row of token classification has many


def confusion_of(report: Report) -> Confusion | None:
    """Return the matrix of a classifier; None where its verdict has none, or one that cannot be read."""
    item = next((one for one in report.evals if one.confusion), None)
    counts = item.confusion if item and item.confusion else ()
    if item is None or not 1 < len(counts) <= MAX_LABELS or any(len(row) != len(counts) for row in counts):
        return None
    if not all(0 <= count <= MAX_COUNT for row in counts for count in row):
        return None
    known = report.conditions.label_names if report.conditions else None
    names = known if known and len(known) == len(counts) else tuple(map(str, range(len(counts))))
    used = [at for at in range(len(counts)) if sum(counts[at]) or sum(row[at] for row in counts)]
    rows = []
    for label in used:
        total = sum(counts[label])
        sign = {other: 1 if other == label else -1 for other in used}
        cells = [(int(counts[label][other]), level_of(sign[other] * counts[label][other], total)) for other in used]
        rows.append(ExpectedLabel(names[label], cells, int(counts[label][label]), int(total)))
    return Confusion([names[at] for at in used], rows, sum(row.total for row in rows) > item.rows)


# --- cost -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a run beside the base's, as bars in percent of the width: time, and memory if the base's is known."""

    times: float
    time: tuple[float, float]  # of the base, and with the adapter
    memory_mb: float
    base_mb: float | None
    memory: tuple[float, float] | None


def cost_of(report: Report) -> Cost | None:
    """Return the cost of a run; one query."""
    cost = report.cost
    if cost is None or cost.latency_ratio is None or not 0 < cost.latency_ratio <= MAX_COUNT:
        return None
    times, more = Axis(0.0, max(1.0, cost.latency_ratio), 0.0, 100.0), max(0.0, cost.memory_mb or 0.0)
    base = Base.objects.filter(pk=report.base.id, has_weights=True).first() if report.base else None
    base_mb = base.size / 1e6 if base and base.size else None
    memory = Axis(0.0, base_mb + more, 0.0, 100.0) if base_mb else None
    bars = (memory.at(base_mb or 0.0), 100.0) if memory else None
    return Cost(cost.latency_ratio, (times.at(1.0), times.at(cost.latency_ratio)), more, base_mb, bars)


# --- strength ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Curve:
    """The scores of an adapter at several scales; `whisker` has the ends of the interval at full strength."""

    strength: Strength
    scales: Axis
    scores: Axis
    whisker: Sequence[float]

    @property
    def points(self) -> list[tuple[ScalePoint, float, float, float, float]]:
        """Each point with its place; its effect and its drift, as shares of the effect at full strength."""
        full = next((point.effect for point in self.strength.points if point.scale == 1), 0.0) or math.inf
        return [
            (point, self.scales.at(point.scale), self.scores.at(point.score), point.effect / full, point.drift / full)
            for point in self.strength.points
        ]


def curve_of(report: Report) -> Curve | None:
    """Return the drawing of the strength curve; None where there is none, or only a reason why."""
    strength = report.strength
    if strength is None or not 2 <= len(strength.points) <= MAX_POINTS:
        return None
    ends = next((finite(*item.interval or ()) for item in report.evals if item.metric == strength.metric), [])
    scores = around([*(point.score for point in strength.points), *ends], BOTTOM, TOP)
    scales = Axis(0.0, strength.points[-1].scale, 3.0, 97.0)
    return Curve(strength, scales, scores, [scores.at(end) for end in ends])


# --- other versions of the libraries ----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome for these files on one engine; `at` is None for an engine beside the one that decided.

    `differing` are its numbers that the deciding engine does not share.
    """

    engine: str
    versions: Sequence[tuple[str, str]]  # (library, version)
    at: datetime | None
    state: str
    is_newest: bool
    check: str = ""
    message: str = ""
    evals: Sequence[Evaluation] = ()
    differing: Sequence[Evaluation] = ()
    picture: Dumbbell | None = None


def history_of(header: RepositoryHeader) -> list[Judged]:
    """Return the outcomes for one revision by library version: the newest verdict's engines, then earlier verdicts.

    Of several verdicts by the same versions with the same outcome, the newest; one query.
    """
    verdicts = header.revision.verdicts.filter(finished_at__isnull=False).order_by("-number")[:MAX_VERDICTS]
    found: dict[object, Judged] = {}
    for place, verdict in enumerate(verdicts):
        for one in _judged(verdict, place == 0):
            found.setdefault((one.engine, *one.versions, one.state), one)
    values = [value for one in found.values() for value in _values(one.evals)]
    return [_drawn(one, values) for one in found.values()]


def _judged(verdict: Verdict, is_newest: bool) -> list[Judged]:
    report = verdict.report
    name = report.engine.name if report.engine else ""
    if not name:
        return []
    libraries = report.proven_with.engines if report.proven_with else {}
    decided = next((row for row in report.engines if row.name == name), None)
    check = report.refusal
    rows = [
        Judged(
            name,
            _versions(libraries.get(name), report.engine.transformers if report.engine else ""),
            verdict.finished_at,
            report.state,
            is_newest,
            check.id if check else "",
            check.message if check else "",
            report.evals,
        )
    ]
    for row in report.engines:
        if row is not decided:
            versions = _versions(libraries.get(row.name), row.transformers or "")
            differing = row.differs(decided) if decided else []
            said = (row.check or "", row.message or "", row.evals or (), differing)
            rows.append(Judged(row.name, versions, None, row.state, is_newest, *said))
    return rows


def _versions(known: object, transformers: str) -> list[tuple[str, str]]:
    """Return the libraries that decide how an adapter runs, with their versions."""
    versions = known if isinstance(known, Mapping) else {"transformers": transformers}
    return [(name, str(versions[name])) for name in ("transformers", "peft", "adapters", "torch") if versions.get(name)]


def _values(evals: Sequence[Evaluation]) -> list[float]:
    return with_interval(evals[0].adapter, evals[0].interval) if evals else []


def _drawn(one: Judged, beside: Sequence[float]) -> Judged:
    item = next(iter(one.evals), None)
    if item is None or not finite(item.adapter):
        return one
    mark = ("adapter", f"{item.metric} {score(item.adapter, item.rows)}", item.adapter)
    return replace(one, picture=dumbbell([mark], item.interval, beside))


# --- the run ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Run:
    """The report of the run that gave a verdict: its row, its tries, its longest checks."""

    verdict: Verdict
    attempts: Sequence[Attempt]
    checks: Sequence[tuple[str, float]]

    @property
    def waited_ms(self) -> float | None:
        started = self.verdict.started_at
        return (started - self.verdict.queued_at).total_seconds() * 1000 if started else None


def run_of(header: RepositoryHeader, report: Report) -> Run | None:
    """Return the report of a run that has ended; one query."""
    verdict = header.verdict
    if verdict is None or not verdict.is_final:
        return None
    checks = sorted(((check.id, check.duration_ms or 0.0) for check in report.checks), key=lambda one: -one[1])
    return Run(verdict, list(verdict.attempts.order_by("number")), checks[:MAX_CHECKS])


def _measured(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what the panels beside the metrics show; nothing before there is a verdict."""
    header = page["header"]
    if header.proof is None or header.proof.is_open:
        return None
    report = header.proof.report
    return {
        "rows": rows_of(report),
        "confusion": confusion_of(report),
        "cost": cost_of(report),
        "curve": curve_of(report),
        "strength": report.strength,
        "item": next(iter(report.evals), None),
    }


def _ran(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    header = page["header"]
    if header.proof is None or header.proof.is_open:
        return None
    return {"history": history_of(header), "run": run_of(header, header.proof.report)}


PAGES = Pages(
    panels=(
        Panel("evaluation", "evaluation/measured.html", _measured),
        Panel("evaluation-end", "evaluation/run.html", _ran),
    )
)
