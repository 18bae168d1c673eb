"""Values of one metric as marks on one line: base, previous version, this one, and the claim of its card."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hub.site.pictures import Axis, around, finite

LEFT, WIDTH = 3.0, 94.0  # percent of the drawing that the axis takes
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
    axis = around([*(value for _, _, value in known), *ends, *finite(*beside)], LEFT, LEFT + WIDTH)
    marks = [Mark(who, label, value, axis.at(value)) for who, label, value in known]
    drawn = (axis.at(ends[0]), round(axis.at(ends[1]) - axis.at(ends[0]), 2)) if ends else None
    return Dumbbell(marks, axis, drawn)
