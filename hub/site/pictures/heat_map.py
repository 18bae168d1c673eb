"""Numbers of modules as a table of layers: a row for each kind of module, a cell for each layer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dovetail.adapters.shapes.base_norms import layer_of, natural_order

MAX_ROWS, MAX_LAYERS = 24, 160
LEVELS = 5
UNKNOWN = "unknown"  # the class of a cell whose number is missing or not finite


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One kind of modules: (place, level) for each layer that has one, and the largest number with its layer."""

    kind: str
    cells: list[tuple[int, str]]
    largest: float | None
    at: str


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The rows in the order of their largest numbers, and what found no room."""

    rows: list[HeatRow]
    layers: list[str]
    rows_left_out: int = 0
    layers_left_out: int = 0


def heat_map(values: Mapping[str, float | None]) -> HeatMap | None:
    """Draw module → number; five levels span zero to the largest number. None without modules."""
    if not values:
        return None
    layers = sorted({layer_of(module) for module in values}, key=natural_order)
    place_of = {layer: place for place, layer in enumerate(layers[:MAX_LAYERS])}
    most = max((value for value in values.values() if _is_known(value) and value is not None), default=0.0)
    kinds: dict[str, dict[str, float | None]] = {}
    for module, value in values.items():
        layer = layer_of(module)
        kinds.setdefault(_kind(module, layer), {})[layer] = value if _is_known(value) else None
    rows = [_row(kind, numbers, place_of, most) for kind, numbers in kinds.items()]
    rows.sort(key=lambda row: (-(row.largest or 0.0), row.kind))
    left_out = max(0, len(rows) - MAX_ROWS), max(0, len(layers) - MAX_LAYERS)
    return HeatMap(rows[:MAX_ROWS], layers[:MAX_LAYERS], *left_out)


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _kind(module: str, layer: str) -> str:
    """Return the name of a module behind its layer; the last part of a name without one."""
    _, found, rest = module.partition(f"{layer}.")
    return rest if found else module.rpartition(".")[2]


def _row(kind: str, numbers: Mapping[str, float | None], place_of: Mapping[str, int], most: float) -> HeatRow:
    cells = [(place_of[layer], _level(value, most)) for layer, value in numbers.items() if layer in place_of]
    known = [(value, layer) for layer, value in numbers.items() if value is not None]
    largest, at = max(known, default=(None, ""))
    return HeatRow(kind, sorted(cells), largest, at)


def _level(value: float | None, most: float) -> str:
    if value is None:
        return UNKNOWN
    return f"level-{min(LEVELS, math.ceil(LEVELS * value / most)) if value > 0 and most > 0 else 0}"
