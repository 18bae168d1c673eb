"""A verdict in seven areas, and its drawing: a bar of interlocking dovetails, one an area; and versions as such a bar.

No rule is decided here.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dovetail.adapters.results.report import CheckResult, Evaluation, Report
from hub.site.measures import number_range
from hub.site.pictures import Axis, around, with_interval
from hub.site.words import WORDS as STATES
from hub.site.words import english

AREAS = ("file", "config", "tensors", "base", "fit", "run", "eval")
COUNTED_TO = {
    "load": "run",
    "limits": "run",
    "card": "file",
    "privacy": "file",
    "eval.random-head": "fit",  # it looks for a head in the file and measures nothing
}
NOT_ALONE = frozenset({"eval.random-head"})  # its passing alone does not mean that the area was checked
HEADLINE = 100  # characters
MOST_TELLING = (
    *("file.header", "config.kind", "config.rank", "tensors.pair", "tensors.not-finite", "base.unnamed", "fit.missing"),
    *("run.no-effect", "run.random-weights", "run.not-deterministic", "eval.worse-than-base", "eval.claim"),
)
WORDS = {
    "passed": _("passed"),
    "noted": _("passed with a note"),
    "failed": _("failed"),
    "running": _("running"),
    "waiting": _("not reached"),
}


@dataclass(frozen=True, slots=True)
class AreaResult:
    """One area: its outcome (`passed noted failed running waiting`) and the checks that led to it, in order."""

    area: str
    outcome: str
    checks: tuple[CheckResult, ...] = ()

    @property
    def words(self) -> str:
        return str(WORDS[self.outcome])

    @property
    def duration_ms(self) -> float:
        return sum(check.duration_ms or 0 for check in self.checks)

    @property
    def loud(self) -> list[CheckResult]:
        """The checks that failed, then those with a warning: a page shows them at once."""
        return [check for outcome in ("failed", "warned") for check in self.checks if check.outcome == outcome]

    @property
    def quiet(self) -> list[CheckResult]:
        return [check for check in self.checks if check.outcome not in ("failed", "warned")]

    @property
    def headline(self) -> str:
        """The messages of checks that passed, as whole sentences in about a line; the most telling come first."""
        passed = [check for check in self.checks if check.outcome == "passed"]
        passed.sort(key=lambda check: MOST_TELLING.index(check.id) if check.id in MOST_TELLING else len(MOST_TELLING))
        line = ""
        for check in passed:
            if line and len(line) + len(check.message) >= HEADLINE:
                break
            line = f"{line} {check.message}".strip()
        return english(line) or gettext("Skipped.")

    @property
    def ran(self) -> int:
        return sum(check.outcome != "skipped" for check in self.checks)


def area_of(check_id: str) -> str | None:
    """Return the area that a check counts to; None if it counts to none of the seven."""
    prefix = check_id.partition(".")[0]
    area = COUNTED_TO.get(check_id) or COUNTED_TO.get(prefix, prefix)
    return area if area in AREAS else None


def summarize(report: Report | None) -> list[AreaResult]:
    """Return the seven areas of a report, always in this order; None is a verdict that has not begun."""
    state = report.state if report else "queued"
    by_area: dict[str, list[CheckResult]] = {area: [] for area in AREAS}
    for check in report.checks if report else ():
        if area := area_of(check.id):
            by_area[area].append(check)
    return [AreaResult(area, _outcome(checks, state), tuple(checks)) for area, checks in by_area.items()]


def _outcome(checks: Sequence[CheckResult], state: str) -> str:
    outcomes = {check.outcome for check in checks if check.outcome != "passed" or check.id not in NOT_ALONE}
    if "failed" in outcomes:
        return "failed"
    if "warned" in outcomes:
        return "noted"
    if "passed" in outcomes:
        return "passed"
    return "running" if state == "running" else "waiting"


@dataclass(frozen=True, slots=True)
class Shape:
    """An area as SVG: its outline, the mark that shows the outcome without colour, and the middle of its label."""

    area: AreaResult
    outline: str
    mark: str
    middle: float


def shapes(areas: Sequence[AreaResult], *, pitch: float, height: float, lean: float, gap: float) -> list[Shape]:
    """Outlines in user units: tails (wide above) and pins (wide below) alternate, `lean` is how far a side slopes.

    A failed area stands `gap * 2` too high and has a notch; a noted one has a line in its middle.
    """
    return [_shape(index, area, pitch, height, lean, gap) for index, area in enumerate(areas)]


def _shape(index: int, area: AreaResult, pitch: float, height: float, lean: float, gap: float) -> Shape:
    left, right, middle = index * pitch + gap / 2, (index + 1) * pitch - gap / 2, (index + 0.5) * pitch
    out = lean / 2 if index % 2 == 0 else -lean / 2  # a tail is wider above, a pin below
    lift = gap * 2 if area.outcome == "failed" else 0
    top, bottom = gap * 2 - lift, gap * 2 + height - lift
    left, right, middle = left + lean / 2, right + lean / 2, middle + lean / 2
    corners = [(left - out, top), (right + out, top), (right - out, bottom)]
    if area.outcome == "failed":
        bite = height * 0.36
        corners += [(middle + bite * 0.7, bottom), (middle, bottom - bite), (middle - bite * 0.7, bottom)]
    corners.append((left + out, bottom))
    outline = "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in corners) + "Z"
    return Shape(area, outline, _kerf(middle, top, height) if area.outcome == "noted" else "", middle)


def _kerf(middle: float, top: float, height: float) -> str:
    return f"M{middle:.2f} {top + height * 0.3:.2f}V{top + height * 0.7:.2f}"


def summary_text(report: Report | None) -> str:
    """Return the drawing in words, for screen readers."""
    if report is None:
        return gettext("no verdict yet")
    areas = summarize(report)
    ran = sum(area.ran for area in areas)
    failed = sum(check.outcome == "failed" for area in areas for check in area.checks)
    summary = str(STATES.get(report.state, report.state))
    if failed:
        summary = gettext("{state}, {failed} of {count} checks failed").format(state=summary, failed=failed, count=ran)
    elif ran:
        summary = gettext("{state}, {passed} of {count} checks").format(state=summary, passed=ran, count=ran)
    details = [f"{area.area} {area.words}" for area in areas if area.outcome in ("noted", "failed")]
    return "; ".join([summary, *details])


PITCH, MARK = 26.0, 18.0  # of a version's mark, which is drawn smaller where many share the width
FEWEST = 6  # versions that the width has room for at least
TOP, BOTTOM = 26.0, 156.0  # the heights of the ends of the axis, in pixels
MOST_LABELS = 12  # beneath it
OUTCOMES = {
    "passed": _("passed"),
    "noted": _("passed with notes"),
    "failed": _("failed"),
    "running": _("running"),
    "waiting": _("without a result"),
}


@dataclass(frozen=True, slots=True)
class Version:
    """One version: the outcome of its verdict as a CSS class, a key of OUTCOMES; its commit, measurement and names."""

    outcome: str
    measured: Evaluation | None = None
    oid: str = ""
    title: str = ""
    names: Sequence[str] = ()
    is_yanked: bool = False

    @property
    def values(self) -> list[float]:
        """Its score and the ends of its interval; empty without a score."""
        return with_interval(self.measured.adapter, self.measured.interval) if self.measured else []

    @property
    def rows(self) -> tuple[float, str | None] | None:
        """The rows of its measurement: scores on others do not compare."""
        return (self.measured.rows, self.measured.rows_sha256) if self.measured else None

    @property
    def words(self) -> str:
        """The text of a link to it."""
        score = f"{self.measured.metric} {number_range(self.values)}" if self.measured else ""
        state = [str(OUTCOMES[self.outcome]), *([gettext("yanked")] if self.is_yanked else []), *self.names]
        return " · ".join(filter(None, (self.oid[:8], self.title, score, *state)))


@dataclass(frozen=True, slots=True)
class Column:
    """A version in percent of the width, its mark, and the heights of its score and of the ends of its interval."""

    version: Version
    mark: Shape
    x: float
    heights: Sequence[float]
    pitch: float = PITCH

    @property
    def left(self) -> float:
        """The start of its mark on the row of all marks."""
        return round(self.mark.middle - self.pitch / 2, 2)


@dataclass(frozen=True, slots=True)
class Strip:
    """The versions of an adapter, the oldest first; `axis` is of their scores, `width` that of all marks."""

    versions: Sequence[Version]
    columns: Sequence[Column]
    axis: Axis
    width: float

    @property
    def rows(self) -> tuple[float, str | None] | None:
        """The rows of the newest score."""
        return next((version.rows for version in reversed(self.versions) if version.values), None)

    @property
    def scores(self) -> list[float]:
        """The scores on these rows, the oldest first."""
        return [version.values[0] for version in self.versions if version.values and version.rows == self.rows]

    @property
    def joined(self) -> list[tuple[Column, Column]]:
        """The scores that a line joins: one after the other, on the same rows."""
        scored = [column for column in self.columns if column.heights]
        return [(one, other) for one, other in pairwise(scored) if one.version.rows == other.version.rows]

    @property
    def step(self) -> int:
        """Each so many-th version, counted from the newest, has its commit beneath it; a third of them on a phone."""
        return math.ceil(len(self.columns) / MOST_LABELS)

    @property
    def words(self) -> str:
        """The numbers of versions by outcome: "3 passed, 1 failed, 1 yanked"."""
        counts = Counter(OUTCOMES[version.outcome] for version in self.versions)
        yanked = sum(version.is_yanked for version in self.versions)
        counted = [f"{count} {word}" for word, count in counts.most_common()]
        return ", ".join([*counted, gettext("{count} yanked").format(count=yanked)] if yanked else counted)


def strip(versions: Sequence[Version]) -> Strip | None:
    """Draw versions, the oldest first; None for fewer than two."""
    if len(versions) < 2:
        return None
    marks = shapes(
        [AreaResult("", version.outcome) for version in versions], pitch=PITCH, height=MARK, lean=6.0, gap=1.8
    )
    axis = around([value for version in versions for value in version.values], BOTTOM, TOP)
    width = max(len(versions), FEWEST) * PITCH + 6
    columns = [
        Column(version, mark, round(100 * mark.middle / width, 2), [axis.at(value) for value in version.values])
        for version, mark in zip(versions, marks, strict=True)
    ]
    return Strip(versions, columns, axis, width)
