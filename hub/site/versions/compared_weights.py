"""The differences of weight files as pages show them: one number, the layers, and a map of the modules."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.utils.translation import ngettext

from dovetail.adapters.shapes import weight_changes
from dovetail.adapters.shapes.base_norms import layer_of, natural_order
from dovetail.adapters.shapes.weight_changes import Change, Names
from hub.site.measures import number
from registry.proof import comparisons
from registry.proof.comparisons import Entries, WeightsChange

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


MAX_FILES, MAX_NAMES, MAX_CHANGES = 2, 50, 12
NOTHING = Names((), (), (), ())


@dataclass(frozen=True, slots=True)
class ComparedFile:
    """One file that two revisions have; `state` is same, compared, waiting or unknown."""

    file: WeightsChange
    relative: float | None  # the length of the difference by the length before, all modules together
    layers: list[tuple[str, float | None]]
    heat: HeatMap | None

    @property
    def path(self) -> str:
        return self.file.path

    @property
    def state(self) -> str:
        return self.file.state

    @property
    def problem(self) -> str:
        return self.file.compared.problem

    @property
    def names(self) -> Names:
        return self.file.compared.names or NOTHING

    @property
    def counts(self) -> list[str]:
        """The numbers of tensors that were added, removed and so on, in words, without those that are 0."""
        names = self.names
        added, removed, reshaped, retyped = map(len, (names.added, names.removed, names.reshaped, names.retyped))
        counted = [
            (added, ngettext("{count} tensor added", "{count} tensors added", added)),
            (removed, ngettext("{count} tensor removed", "{count} tensors removed", removed)),
            (reshaped, ngettext("{count} tensor of another shape", "{count} tensors of another shape", reshaped)),
            (retyped, ngettext("{count} tensor of another type", "{count} tensors of another type", retyped)),
        ]
        return [words.format(count=number(count)) for count, words in counted if count]

    @property
    def largest(self) -> list[Change]:
        """The modules that changed most, those first that were zero before."""
        return self.file.changes[:MAX_CHANGES]

    @property
    def not_finite(self) -> list[Change]:
        """The modules with NaN or infinity before or after, which cannot be compared."""
        return [change for change in self.file.changes if change.length is None]

    @property
    def largest_layer(self) -> tuple[str, float] | None:
        """The layer that moved most, if any moved."""
        value, name = max(((value or 0.0, name) for name, value in self.layers), default=(0.0, ""))
        return (name, value) if value else None


def compared_files(old: Entries, new: Entries) -> Iterator[ComparedFile]:
    """Yield the first weight files that both have. Raises StoreUnavailable."""
    for file in comparisons.weights_changes(old, new, MAX_FILES):
        values = {change.module: change.relative for change in file.changes}
        layers = weight_changes.by_layer(file.changes)
        yield ComparedFile(file, weight_changes.together(file.changes), layers, heat_map(values))
