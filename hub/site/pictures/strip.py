"""The versions of an adapter as one bar: a mark for each, with their scores as a line above it."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub.site.verdict_summary import AreaResult, Shape, shapes

PITCH, TOP, LINE, TOOTH = 26.0, 8.0, 34.0, 18.0  # of a version; and the heights of margin, line and marks
STRUCK = 0.42 * PITCH
OUTCOMES = {
    "passed": _("passed"), "noted": _("passed with notes"), "failed": _("failed"), "running": _("running"),
    "waiting": _("without a result"),
}  # fmt: skip
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
    teeth: list[Shape]
    dots: list[tuple[float, float]]

    @property
    def width(self) -> float:
        return len(self.versions) * PITCH + 6

    @property
    def teeth_at(self) -> float:
        """The top of the marks; without a line of scores there is no room above them."""
        return TOP + LINE - 4 if self.dots else 0.0

    @property
    def height(self) -> float:
        return self.teeth_at + TOOTH + 24

    @property
    def line(self) -> str:
        return " ".join(f"{x},{y}" for x, y in self.dots)

    @property
    def drawn(self) -> list[tuple[Version, Shape, float, float]]:
        """Each version with its mark, and the ends of the line that strikes it through."""
        return [
            (version, tooth, tooth.middle - STRUCK, tooth.middle + STRUCK)
            for version, tooth in zip(self.versions, self.teeth, strict=True)
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
    teeth = shapes(
        [AreaResult("", version.outcome) for version in versions], pitch=PITCH, height=TOOTH, lean=6.0, gap=1.8
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
    return Strip(versions, teeth, dots)
