"""Pictures of the pages: numbers in, places of SVG shapes out. A table or a sentence beside each says the same."""

import math
from collections.abc import Iterable
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
