"""A verdict in seven areas, and its drawing: a bar of interlocking dovetails, one an area; and versions as such a bar.

No rule is decided here.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dovetail.adapters.results.report import CheckResult, Report
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


PITCH, TOP, LINE, MARK = 26.0, 8.0, 34.0, 18.0  # of a version; and the heights of margin, line and marks
STRUCK = 0.42 * PITCH
OUTCOMES = {
    "passed": _("passed"),
    "noted": _("passed with notes"),
    "failed": _("failed"),
    "running": _("running"),
    "waiting": _("without a result"),
}
MIDDLE = 0.5 * PITCH + 3.0  # of the first mark, whose sides lean


@dataclass(frozen=True, slots=True)
class Version:
    """One version: the outcome of its verdict as a CSS class, a key of OUTCOMES; its score, and its marks."""

    outcome: str
    score: float | None = None
    is_verified: bool = False
    is_yanked: bool = False


@dataclass(frozen=True, slots=True)
class Strip:
    """The drawing: a shape and the middle for each version, and the line with its dots as (x, y)."""

    versions: Sequence[Version]
    marks: list[Shape]
    dots: list[tuple[float, float]]

    @property
    def width(self) -> float:
        return len(self.versions) * PITCH + 6

    @property
    def marks_at(self) -> float:
        """The top of the marks; without a line of scores there is no room above them."""
        return TOP + LINE - 4 if self.dots else 0.0

    @property
    def height(self) -> float:
        return self.marks_at + MARK + 24

    @property
    def line(self) -> str:
        return " ".join(f"{x},{y}" for x, y in self.dots)

    @property
    def drawn(self) -> list[tuple[Version, Shape, float, float]]:
        """Each version with its mark, and the ends of the line that strikes it through."""
        return [
            (version, mark, mark.middle - STRUCK, mark.middle + STRUCK)
            for version, mark in zip(self.versions, self.marks, strict=True)
        ]

    @property
    def words(self) -> str:
        """The numbers of versions by outcome: "3 passed, 1 failed, 1 yanked"."""
        counts = Counter(OUTCOMES[version.outcome] for version in self.versions)
        yanked = sum(version.is_yanked for version in self.versions)
        counted = [f"{count} {word}" for word, count in counts.most_common()]
        return ", ".join([*counted, gettext("{count} yanked").format(count=yanked)] if yanked else counted)

    @property
    def has_verified(self) -> bool:
        return any(version.is_verified for version in self.versions)

    @property
    def scores(self) -> list[float]:
        """The scores that are known, the oldest first."""
        return [version.score for version in self.versions if version.score is not None]


def strip(versions: Sequence[Version]) -> Strip | None:
    """Draw versions, the oldest first; None for fewer than two."""
    if len(versions) < 2:
        return None
    marks = shapes(
        [AreaResult("", version.outcome) for version in versions], pitch=PITCH, height=MARK, lean=6.0, gap=1.8
    )
    scored = [
        (place, version.score)
        for place, version in enumerate(versions)
        if version.score is not None and math.isfinite(version.score)
    ]
    low, high = min((score for _, score in scored), default=0.0), max((score for _, score in scored), default=0.0)
    dots = []
    for place, score in scored:
        share = (score - low) / (high - low) if high > low else 0.5
        dots.append((round(MIDDLE + place * PITCH, 1), round(TOP + (LINE - TOP) * (1 - share), 1)))
    return Strip(versions, marks, dots)
