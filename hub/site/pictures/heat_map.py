"""A number of each module as a map: a row for each kind of modules, a column for each layer; the darker, the larger."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from dovetail.adapters.shapes.base_norms import layer_of, natural_order
from hub.site.measures import number
from hub.site.pictures import Axis

MAX_ROWS, MAX_LAYERS, MAX_APART, MAX_STACKS = 12, 128, 8, 4
MAX_NUMBERED, MAX_LABELS = 12, 24  # layers whose cells have room for their numbers; labels beneath the columns
LEVELS = 5
WRAPPER = "base_model.model."  # that PEFT puts before the names of its base's modules
PITCH = 28  # pixels from row to row
# The order in which a layer computes its modules, by the last part of their names.
PLACES = {"q": 0, "query": 0, "k": 1, "key": 1, "v": 2, "value": 2, "qkv": 3, "o": 4, "out": 4}
PLACES |= {"gate": 5, "up": 6, "fc1": 6, "down": 7, "fc2": 7}

Words = Callable[[float], str]  # a number as people read it: measures.percent, measures.number


@dataclass(frozen=True, slots=True)
class Cell:
    """One module: its layer, the place of its column, its colour as classes, and its number in words or ""."""

    layer: str
    place: int
    x: float  # the middle of the column in percent of the width
    level: str
    words: str


@dataclass(frozen=True, slots=True)
class HeatRow:
    """The modules of one kind; `label` is short for `kind`. It has no cell for a layer without such a module."""

    kind: str
    label: str
    y: float  # its middle, in pixels
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The rows in the order of computing, the layers, the modules `apart` from all layers, and what found no room."""

    rows: Sequence[HeatRow]
    layers: Sequence[str]
    apart: Sequence[tuple[str, str]]  # (module, its number in words)
    key: Sequence[tuple[str, str]]  # the colours from the lowest numbers on, each with its numbers in words
    ends: tuple[str, str]  # of the scale, in words
    rows_left_out: int
    layers_left_out: int

    @property
    def height(self) -> int:
        return PITCH * len(self.rows)

    @property
    def is_numbered(self) -> bool:
        return len(self.layers) <= MAX_NUMBERED

    @property
    def labels(self) -> list[tuple[float, str]]:
        """The middles of the columns that have a number beneath them, with it."""
        step, axis = math.ceil(len(self.layers) / MAX_LABELS), _columns(self.layers)
        return [(axis.at(at), layer.rpartition(".")[2]) for at, layer in list(enumerate(self.layers))[::step]]

    @property
    def stacks(self) -> list[tuple[float, str]]:
        """The middle of each stack of layers, such as an encoder, with its name; empty where they are many."""
        axis, stacks = _columns(self.layers), []
        for name, columns in groupby(enumerate(self.layers), lambda column: column[1].rpartition(".")[0]):
            places = [at for at, _ in columns]
            stacks.append((axis.at((places[0] + places[-1]) / 2), name))
        return stacks if len(stacks) <= MAX_STACKS else []

    @property
    def lines(self) -> list[tuple[str, list[str]]]:
        """The same numbers as a table: each layer, with the number of each row, "" where it has none."""
        by_row = [{cell.place: cell.words for cell in row.cells} for row in self.rows]
        return [(layer, [words.get(at, "") for words in by_row]) for at, layer in enumerate(self.layers)]


def heat_map(values: Mapping[str, float | None], words: Words = number, *, is_signed: bool = False) -> HeatMap | None:
    """Draw module → number; five levels span zero to the largest. None without modules.

    With `is_signed` the scale goes as far below zero, in another colour. A module of no layer, such as a head, stands
    apart: its number would dwarf the others.
    """
    if not values:
        return None
    kinds: dict[str, dict[str, float | None]] = {}
    apart: dict[str, float] = {}
    for module, given in values.items():
        value = given if given is not None and math.isfinite(given) else None
        layer = layer_of(module)
        _, is_in_layer, kind = module.partition(f"{layer}.")
        if is_in_layer:
            kinds.setdefault(kind, {})[layer] = value
        elif value is not None:
            apart[module.removeprefix(WRAPPER)] = value
    layers = sorted({layer for numbers in kinds.values() for layer in numbers}, key=natural_order)
    largest = {kind: max(abs(value or 0.0) for value in numbers.values()) for kind, numbers in kinds.items()}
    most = max(largest.values(), default=0.0)
    drawn = sorted(sorted(kinds, key=lambda kind: (-largest[kind], kind))[:MAX_ROWS], key=_order)
    labels = _labels(drawn)
    return HeatMap(
        [
            HeatRow(kind, labels[kind], PITCH * (at + 0.5), _cells(kinds[kind], layers[:MAX_LAYERS], most, words))
            for at, kind in enumerate(drawn)
        ],
        layers[:MAX_LAYERS],
        [(name, words(apart[name])) for name in sorted(apart, key=lambda name: -abs(apart[name]))[:MAX_APART]],
        _key(most, words, is_signed),
        (words(-most if is_signed else 0.0), words(most)),
        max(0, len(kinds) - MAX_ROWS),
        max(0, len(layers) - MAX_LAYERS),
    )


def _columns(layers: Sequence[str]) -> Axis:
    """Return the axis on which the middle of the n-th column is n."""
    return Axis(-0.5, len(layers) - 0.5, 0.0, 100.0)


def _cells(numbers: Mapping[str, float | None], layers: Sequence[str], most: float, words: Words) -> list[Cell]:
    axis = _columns(layers)
    return [
        Cell(layer, place, axis.at(place), level_of(value, most), "" if value is None else words(value))
        for place, layer in enumerate(layers)
        if layer in numbers
        for value in [numbers[layer]]
    ]


def level_of(value: float | None, most: float) -> str:
    """Return the classes of a colour: how far the number is from zero, and `less` for one below it."""
    if value is None:
        return "unknown"
    level = min(LEVELS, math.ceil(LEVELS * abs(value) / most)) if most else 0
    return f"level-{level} less" if value < 0 else f"level-{level}"


def _key(most: float, words: Words, is_signed: bool) -> list[tuple[str, str]]:
    steps = [most * step / LEVELS for step in range(-LEVELS if is_signed else 0, LEVELS + 1)] if most else []
    return [
        (level_of(low if low < 0 else high, most), f"{words(low)} – {words(high)}") for low, high in pairwise(steps)
    ]


def _order(kind: str) -> tuple[int, str]:
    part = kind.rpartition(".")[2].removeprefix("to_").removesuffix("_proj").removesuffix("_lin")
    return PLACES.get(part, len(PLACES)), kind


def _labels(kinds: Sequence[str]) -> dict[str, str]:
    """Return for each name its shortest end that is the end of no other one."""
    labels = {}
    for kind in kinds:
        parts = kind.split(".")
        ends = (".".join(parts[-count:]) for count in range(1, len(parts)))
        alone = (end for end in ends if sum(f".{other}".endswith(f".{end}") for other in kinds) == 1)
        labels[kind] = next(alone, kind)
    return labels
