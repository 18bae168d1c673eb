"""Adapters by size and score: a point for each, and the line of those that no smaller one beats."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hub.site.pictures.dumbbell import axis

LEFT, WIDTH = 13.0, 82.0  # percent of the drawing that the sizes span
TOP, BOTTOM = 22.0, 214.0  # the heights of the best and of the worst score
LEAST = 2  # points that make a picture
MAX_DECADES = 5  # that are named below it
MIN_MARKS = 3  # beside it
LEAST_SIZES = math.log(2)  # that the width spans: adapters of nearly one size stand nearly above each other
LEAST_SCORES = 0.05  # of the largest score, above and below the scores: less is mostly noise
NEAR = 15.0  # percent of the width in which two names of sizes run into each other


@dataclass(frozen=True, slots=True)
class Measured:
    """An adapter to draw; `size` in bytes, a higher `score` is better unless the picture says otherwise."""

    name: str
    url: str
    size: int
    score: float


@dataclass(frozen=True, slots=True)
class Point:
    """A point, its place in percent of the width and in pixels from the top; `is_best`: no smaller one beats it."""

    measured: Measured
    x: float
    y: float
    is_best: bool


@dataclass(frozen=True, slots=True)
class Scatter:
    """The points from the smallest on, the steps of the line as (x1, y1, x2, y2), and the values at the axes."""

    points: Sequence[Point]
    steps: Sequence[tuple[float, float, float, float]]
    sizes: Sequence[tuple[int, float]]  # and their places
    scores: Sequence[tuple[float, float]]

    @property
    def best(self) -> list[Point]:
        """The points on the line, the smallest first."""
        return [point for point in self.points if point.is_best]


def scatter(adapters: Iterable[Measured], *, lower_is_better: bool = False) -> Scatter | None:
    """Draw adapters on a logarithmic axis of sizes, the better scores above; None for fewer than two."""
    drawn = [one for one in adapters if math.isfinite(one.score) and one.size > 0]
    if len(drawn) < LEAST:
        return None
    sign = -1 if lower_is_better else 1
    drawn.sort(key=lambda one: (one.size, -sign * one.score))
    low, high = axis(min(one.score for one in drawn), max(one.score for one in drawn), LEAST_SCORES)
    least, most = math.log(drawn[0].size), math.log(drawn[-1].size)
    narrow = max(0.0, LEAST_SIZES - (most - least)) / 2
    least, most = least - narrow, most + narrow

    def across(size: float) -> float:
        share = (math.log(size) - least) / (most - least)
        return round(LEFT + WIDTH * share, 2)

    def down(score: float) -> float:
        share = (score - low) / (high - low)
        return round(TOP + (BOTTOM - TOP) * (share if lower_is_better else 1 - share), 1)

    points, best = [], -math.inf
    for one in drawn:
        is_best = sign * one.score > best
        best = max(best, sign * one.score)
        points.append(Point(one, across(one.size), down(one.score), is_best))
    return Scatter(
        points,
        _steps([point for point in points if point.is_best]),
        _apart([(size, across(size)) for size in _marked(drawn[0].size, drawn[-1].size)]),
        [(score, down(score)) for score in _round_numbers(low, high)],
    )


def _apart(marks: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return the marks without those that would be written into the one before."""
    return [mark for number, mark in enumerate(marks) if not number or mark[1] - marks[number - 1][1] >= NEAR]


def _steps(best: Sequence[Point]) -> list[tuple[float, float, float, float]]:
    """Return the line along the best points: to the right, then up at each of them, and on to the edge."""
    steps = []
    for one, other in pairwise(best):
        steps += [(one.x, one.y, other.x, one.y), (other.x, one.y, other.x, other.y)]
    return [*steps, (best[-1].x, best[-1].y, 100.0, best[-1].y)]


def _marked(least: int, most: int) -> list[int]:
    """Return the sizes to name: powers of ten if two or more are in the span, else its ends."""
    decades = [10**power for power in range(math.ceil(math.log10(least)), math.floor(math.log10(most)) + 1)]
    return decades[-MAX_DECADES:] if len(decades) > 1 else sorted({least, most})


def _round_numbers(low: float, high: float) -> list[float]:
    """Return three to seven multiples of 1, 2 or 5 times a power of ten between two numbers."""
    power = 10.0 ** math.floor(math.log10(high - low))
    marks: list[float] = []
    for step in (5 * power, 2 * power, power, power / 2, power / 5):
        marks = [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
        if len(marks) >= MIN_MARKS:
            break
    return marks
