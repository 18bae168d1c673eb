"""A comparison as pages show it: weights (a number, layers, a map of modules), metrics, and all in one sentence."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext, ngettext

from dovetail.adapters.results.report import Report
from dovetail.adapters.shapes import weight_changes
from dovetail.adapters.shapes.base_norms import layer_of, natural_order
from dovetail.adapters.shapes.weight_changes import Change, Names
from features.compare import comparisons
from features.compare.comparisons import Entries, EvaluationChange, WeightsChange
from hub.site.measures import number, size

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


def compared_files(old: Entries, new: Entries, only: str = "") -> Iterator[ComparedFile]:
    """Yield the first weight files that both have; one of these with `only`. Raises StoreUnavailable."""
    for file in comparisons.weights_changes(old, new, MAX_FILES, only):
        values = {change.module: change.relative for change in file.changes}
        layers = weight_changes.by_layer(file.changes)
        yield ComparedFile(file, weight_changes.together(file.changes), layers, heat_map(values))


LETTERS = "ABCD"  # one for each side; more would not fit beside each other
SMALLER = 1.2  # times: a difference of sizes that is worth a word


def colour_of(change: EvaluationChange) -> str:
    """Return `passed` or `failed` for what the paired test finds better or worse, "" for what it does not tell."""
    return {"better": "passed", "worse": "failed"}.get(change.outcome, "")


def word_of(change: EvaluationChange) -> str:
    """Return why a difference has no colour, or why there is none; "" for one that has a colour."""
    if change.change is None:
        return gettext("other rows") if change.before and change.after else ""
    if colour_of(change) or not change.change:
        return ""
    return gettext("within chance") if change.outcome else gettext("not tested")


def conclusion(reports: Sequence[Report | None], sizes: Sequence[int]) -> str:
    """Return one sentence: which side measured best, or why none did; of equal ones, the smallest by its bytes."""
    found = comparisons.conclude(reports)
    values = [value for value in found.sides if value]
    if found.outcome == "not-measured":
        letters = [letter for letter, value in zip(LETTERS, found.sides, strict=False) if value is None]
        return gettext("No winner: there is no score of {sides} to compare.").format(sides=_joined(letters))
    if found.outcome == "other-rows":
        return gettext("No winner: the sides were measured on different rows or by different metrics.")
    best, numbers = values[found.best], [number(value.adapter) for value in values]
    others = [at for at in range(len(values)) if at != found.best]
    said = {
        "metric": best.metric,
        "values": _joined(numbers),
        "rows": number(round(best.rows)),
        "p": f"{found.p or 0:.2g}",
    }
    if found.outcome == "untested":
        words = gettext(
            "No winner: {metric} {values} on the same {rows} rows, without numbers row by row to test them."
        )
        return words.format(**said)
    if found.outcome == "better":
        said |= {"best": LETTERS[found.best], "others": _joined([LETTERS[at] for at in others])}
        said |= {"value": numbers[found.best], "values": _joined([numbers[at] for at in others])}
        words = gettext("{best} is better than {others}: {metric} {value} against {values} on {rows} rows (p = {p}).")
        return words.format(**said)
    words = gettext("None is better beyond chance: {metric} {values} on the same {rows} rows (p = {p}).").format(**said)
    least, *larger = sorted(sizes)
    if least and larger[0] > SMALLER * least:
        smallest = gettext("{letter} is the smallest ({size}).")
        words = f"{words} {smallest.format(letter=LETTERS[list(sizes).index(least)], size=size(least))}"
    return words


def _joined(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: A, B and C."""
    if len(words) < 2:
        return "".join(words)
    return gettext("{first} and {last}").format(first=", ".join(words[:-1]), last=words[-1])
