"""Adapters by size and score: a point for each, and the line of those that no smaller one beats."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hub.site.pictures import Axis, around

LEFT, RIGHT = 6.0, 92.0  # percent of the drawing that the sizes span
TOP, BOTTOM = 34.0, 214.0  # the heights of the best and of the worst score
LEAST = 2  # points that make a picture
LEAST_SIZES = math.log10(2)  # that the width spans: adapters of nearly one size stand nearly above each other
LEAST_SCORES = 0.05  # of the largest score, above and below the scores: less is mostly noise
LINE = 15.0  # the height of a name
BESIDE = 2.5  # percent: from a point to its equal
COLOURS = 4  # for the commonest kinds; the others share the last one


@dataclass(frozen=True, slots=True)
class Measured:
    """An adapter to draw: its `size` in bytes; its score, and the ends of its interval where they are known."""

    name: str
    url: str
    size: int
    values: Sequence[float]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A point in percent of the width; the heights of its score and interval; `is_best`: no smaller one beats it.

    `colour` is the number of its kind's.
    """

    measured: Measured
    x: float
    heights: Sequence[float]
    is_best: bool
    is_named: bool
    colour: int


@dataclass(frozen=True, slots=True)
class Scatter:
    """The points from the smallest on, the sizes to name with their places, the axis of scores, and the kinds.

    A kind has its colour; "" stands for all that share the last one.
    """

    points: Sequence[Point]
    sizes: Sequence[tuple[float, float]]
    axis: Axis
    kinds: Sequence[tuple[str, int]]

    @property
    def best(self) -> list[Point]:
        """The points on the line, the smallest first."""
        return [point for point in self.points if point.is_best]


def scatter(adapters: Iterable[Measured], *, lower_is_better: bool = False) -> Scatter | None:
    """Draw adapters on a logarithmic axis of sizes, the better scores above; None for fewer than two."""
    drawn = [one for one in adapters if one.values and one.size > 0]
    if len(drawn) < LEAST:
        return None
    sign = -1 if lower_is_better else 1
    drawn.sort(key=lambda one: (one.size, -sign * one.values[0]))
    ends = (TOP, BOTTOM) if lower_is_better else (BOTTOM, TOP)
    scores = around([value for one in drawn for value in one.values], *ends, LEAST_SCORES)
    least, most = math.log10(drawn[0].size), math.log10(drawn[-1].size)
    narrow = max(0.0, LEAST_SIZES - (most - least)) / 2
    sizes = Axis(least - narrow, most + narrow, LEFT, RIGHT)
    kinds = [kind for kind, _ in Counter(one.kind for one in drawn).most_common()]
    colours = {kind: min(number, COLOURS - 1) for number, kind in enumerate(kinds)}
    points: list[Point] = []
    best, named, places = -math.inf, math.inf, Counter[tuple[float, float]]()
    for one in drawn:
        x, heights = sizes.at(math.log10(one.size)), [scores.at(value) for value in one.values]
        is_best = sign * one.values[0] > best
        is_named = is_best and heights[0] <= named - LINE
        best, named = max(best, sign * one.values[0]), heights[0] if is_named else named
        places[x, heights[0]] += 1
        x += BESIDE * (places[x, heights[0]] - 1)
        points.append(Point(one, x, heights, is_best, is_named, colours[one.kind]))
    if len(kinds) > COLOURS:
        kinds[COLOURS - 1 :] = [""]
    return Scatter(points, _round_sizes(sizes), scores, [(kind, number) for number, kind in enumerate(kinds)])


def _round_sizes(axis: Axis) -> list[tuple[float, float]]:
    """Return the powers of ten with their places, and of less than two decades their doubles and fives too.

    Without any of these between its ends, the middle.
    """
    factors = (1, 2, 5) if axis.high - axis.low < 2 else (1,)
    powers = range(math.floor(axis.low), math.ceil(axis.high) + 1)
    marks = [(power + math.log10(factor), factor * 10**power) for power in powers for factor in factors]
    middle = (axis.low + axis.high) / 2
    within = [(mark, size) for mark, size in marks if axis.low <= mark <= axis.high] or [(middle, 10**middle)]
    return [(size, axis.at(mark)) for mark, size in within]
