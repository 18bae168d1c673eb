"""Pictures of the pages: numbers in, places of SVG shapes out. A table or a sentence beside each says the same."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PADDING = 0.12  # of the distance between the outermost values, on both sides of them
LEAST = 0.02  # the distance that equal values get, relative to the largest
MIN_TICKS = 3


@dataclass(frozen=True, slots=True)
class Axis:
    """The values from `low` to `high` on the places from `start` to `end`, in percent of the width or in pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the place of a value."""
        return round(self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low), 2)

    @property
    def ticks(self) -> list[tuple[float, float]]:
        """Three to seven multiples of 1, 2 or 5 times a power of ten, with their places."""
        power = 10.0 ** math.floor(math.log10(self.high - self.low))
        marks: list[float] = []
        for step in (5 * power, 2 * power, power, power / 2, power / 5):
            numbers = range(math.ceil(self.low / step), math.floor(self.high / step) + 1)
            marks = [number * step for number in numbers]
            if len(marks) >= MIN_TICKS:
                break
        return [(mark, self.at(mark)) for mark in marks]


def around(values: Iterable[float], start: float, end: float, room: float = LEAST) -> Axis:
    """Return an axis around values, not below zero or above one without need: it need not begin at zero.

    `room` is the least distance to the ends, relative to the largest value.
    """
    known = list(values) or [0.0]
    least, most = min(known), max(known)
    padding = max(PADDING * (most - least), room * max(abs(least), abs(most)), 1e-9)
    low, high = least - padding, most + padding
    if least >= 0:
        low = max(low, 0.0)  # no share, loss or count is below it
    if most <= 1 <= high:
        high = 1.0 if low < 1.0 else high
    return Axis(low, high, start, end)


def with_interval(value: float | None, interval: Iterable[float] | None = None) -> list[float]:
    """Return a measure and the ends of its interval; nothing without a measure."""
    return finite(value, *(interval or ())) if finite(value) else []


def finite(*values: float | None) -> list[float]:
    """Return the values that are known and finite."""
    return [float(value) for value in values if value is not None and math.isfinite(value)]


LINE_LEFT, LINE_WIDTH = 3.0, 94.0  # percent of the drawing that the axis takes
NARROW, GLYPH = 260, 6.4  # pixels: the least width of a drawing with labels, and that of a character in them


@dataclass(frozen=True, slots=True)
class Mark:
    """One value; `who` is its class in the style sheet, `x` its place in percent of the width."""

    who: str
    label: str
    value: float
    x: float


@dataclass(frozen=True, slots=True)
class Dumbbell:
    """The marks in the given order, their axis, and the interval of one value as (start, width)."""

    marks: Sequence[Mark]
    axis: Axis | None = None
    interval: tuple[float, float] | None = None

    def at(self, who: str) -> Mark | None:
        """Return the mark of this class, if it has a value."""
        return next((mark for mark in self.marks if mark.who == who), None)

    @property
    def bar(self) -> tuple[float, float] | None:
        """The places of the base and of this version, which a bar joins."""
        base, adapter = self.at("base"), self.at("adapter")
        return (min(base.x, adapter.x), max(base.x, adapter.x)) if base and adapter else None


@dataclass(frozen=True, slots=True)
class Label:
    """A text beside the line: its place in percent, whether it starts, ends or has its middle there, and its row."""

    mark: Mark
    words: str
    anchor: str
    row: int  # 0 above the line, 1 and 2 below it


def placed(texts: Iterable[tuple[Mark, str]]) -> list[Label]:
    """Place the names of marks where none covers another, the first ones first; those without room are left out."""
    taken: list[list[tuple[float, float]]] = [[], [], []]
    labels = []
    for mark, words in texts:
        width = 100 * GLYPH * (len(words) + 1) / NARROW
        anchor = "starts" if mark.x < width / 2 else "ends" if mark.x > 100 - width / 2 else "middle"
        start = mark.x - {"starts": 0, "middle": width / 2, "ends": width}[anchor]
        for row, spans in enumerate(taken):
            if all(start >= end or start + width <= begin for begin, end in spans):
                spans.append((start, start + width))
                labels.append(Label(mark, words, anchor, row))
                break
    return labels


def dumbbell(
    values: Iterable[tuple[str, str, float | None]],
    interval: Sequence[float] | None = None,
    beside: Iterable[float | None] = (),
) -> Dumbbell:
    """Draw (class, label, value) rows; a value that is missing or not finite has no mark.

    The axis spans the values, the interval and the values `beside` it in other drawings. It need not begin at zero:
    near values would lie on each other.
    """
    known = [(who, label, value) for who, label, given in values for value in finite(given)]
    if not known:
        return Dumbbell(())
    ends = finite(*interval or ())
    ends = ends if len(ends) == 2 else []
    axis = around([*(value for _, _, value in known), *ends, *finite(*beside)], LINE_LEFT, LINE_LEFT + LINE_WIDTH)
    marks = [Mark(who, label, value, axis.at(value)) for who, label, value in known]
    drawn = (axis.at(ends[0]), round(axis.at(ends[1]) - axis.at(ends[0]), 2)) if ends else None
    return Dumbbell(marks, axis, drawn)


LEFT, RIGHT = 6.0, 92.0  # percent of the drawing that the sizes span
TOP, BOTTOM = 34.0, 214.0  # the heights of the best and of the worst score
LEAST_POINTS = 2  # points that make a picture
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
    if len(drawn) < LEAST_POINTS:
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
