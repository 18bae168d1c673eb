"""Values of one metric as marks on one line: base, previous version, this one, and the claim of its card."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEFT, WIDTH = 3.0, 94.0  # percent of the drawing that the axis takes
PADDING = 0.12  # of the distance between the outermost values, on both sides of them
LEAST = 0.02  # the distance that equal values get, relative to the largest


@dataclass(frozen=True, slots=True)
class Mark:
    """One value; `who` is its class in the style sheet, `x` its place in percent of the width."""

    who: str
    label: str
    value: float
    x: float


@dataclass(frozen=True, slots=True)
class Dumbbell:
    """The marks in the given order, the ends of the axis, and the interval of one value as (start, width)."""

    marks: Sequence[Mark]
    low: float = 0.0
    high: float = 1.0
    interval: tuple[float, float] | None = None

    def at(self, who: str) -> Mark | None:
        """Return the mark of this class, if it has a value."""
        return next((mark for mark in self.marks if mark.who == who), None)

    @property
    def bar(self) -> tuple[float, float] | None:
        """The places of the base and of this version, which a bar joins."""
        base, adapter = self.at("base"), self.at("adapter")
        return (min(base.x, adapter.x), max(base.x, adapter.x)) if base and adapter else None


def dumbbell(
    values: Iterable[tuple[str, str, float | None]],
    interval: Sequence[float] | None = None,
    beside: Iterable[float | None] = (),
) -> Dumbbell:
    """Draw (class, label, value) rows; a value that is missing or not finite has no mark.

    The axis spans the values, the interval and the values `beside` it in other drawings. It need not begin at zero:
    near values would lie on each other.
    """
    known = [(who, label, float(value)) for who, label, value in values if value is not None and math.isfinite(value)]
    if not known:
        return Dumbbell(())
    ends = [float(end) for end in interval or () if math.isfinite(end)]
    ends = ends if len(ends) == 2 else []
    others = [value for value in beside if value is not None and math.isfinite(value)]
    spanned = [value for _, _, value in known] + ends + others
    low, high = axis(min(spanned), max(spanned))

    def place(value: float) -> float:
        return round(LEFT + WIDTH * (value - low) / (high - low), 2)

    marks = [Mark(who, label, value, place(value)) for who, label, value in known]
    drawn = (place(ends[0]), round(place(ends[1]) - place(ends[0]), 2)) if ends else None
    return Dumbbell(marks, low, high, drawn)


def axis(least: float, most: float, room: float = LEAST) -> tuple[float, float]:
    """Return the ends of an axis around values, not below zero or above one without need.

    `room` is the least distance to the ends, relative to the largest value.
    """
    padding = max(PADDING * (most - least), room * max(abs(least), abs(most)), 1e-9)
    low, high = least - padding, most + padding
    if least >= 0:
        low = max(low, 0.0)  # no share, loss or count is below it
    if most <= 1 <= high:
        high = 1.0 if low < 1.0 else high
    return low, high
