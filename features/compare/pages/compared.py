"""A comparison as pages show it: weights (a number, layers, a map of modules), metrics, and all in one sentence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext, ngettext

from dovetail.adapters.results.report import Report
from dovetail.adapters.shapes import weight_changes
from dovetail.adapters.shapes.weight_changes import Change, Names
from features.compare import comparisons
from features.compare.comparisons import Entries, EvaluationChange, WeightsChange
from hub.site.measures import number, percent, size
from hub.site.pictures.heat_map import HeatMap, heat_map

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
        yield ComparedFile(file, weight_changes.together(file.changes), layers, heat_map(values, percent))


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
