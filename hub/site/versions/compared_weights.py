"""The differences of weight files as pages show them: one number, the layers, and a map of the modules."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import ngettext

from dovetail.adapters.shapes import weight_changes
from dovetail.adapters.shapes.weight_changes import Change, Names
from hub.site.measures import number
from hub.site.pictures.heat_map import HeatMap, heat_map
from registry.proof import comparisons
from registry.proof.comparisons import Entries, WeightsChange

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
