"""The strength curve as pages draw it: score, effect and drift over the scale, each on a height of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from dovetail.adapters.results.report import ScalePoint, Strength

WIDTH, HEIGHT, MARGIN = 300, 100, 8  # in units of the drawing
MOST_POINTS = 12


@dataclass(frozen=True, slots=True)
class Curve:
    """The lines as SVG points, the mark of the recommended scale, and the numbers for the table beside them."""

    strength: Strength
    score: str
    effect: str
    drift: str
    recommended_at: float | None
    ticks: list[tuple[float, float]]

    @property
    def points(self) -> Sequence[ScalePoint]:
        return self.strength.points


def curve(strength: Strength | None) -> Curve | None:
    """Return the drawing of a curve; None where there is none, or only a reason why."""
    if strength is None or not 2 <= len(strength.points) <= MOST_POINTS:
        return None
    points = strength.points
    places = [_across(point.scale, points[-1].scale) for point in points]
    at = strength.recommended
    return Curve(
        strength,
        _line(places, [point.score for point in points]),
        _line(places, [point.effect for point in points]),
        _line(places, [point.drift for point in points]),
        None if at is None else _across(at, points[-1].scale),
        [(point.scale, place) for point, place in zip(points, places, strict=True)],
    )


def _across(scale: float, most: float) -> float:
    return round(MARGIN + (WIDTH - 2 * MARGIN) * min(1.0, max(0.0, scale / most if most else 0.0)), 1)


def _line(places: Sequence[float], values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    room = HEIGHT - 2 * MARGIN
    heights = [MARGIN + room * (1 - (value - low) / (high - low) if high > low else 0.5) for value in values]
    return " ".join(f"{x},{y:.1f}" for x, y in zip(places, heights, strict=True))
