"""Differences of two revisions, of one adapter or of two: keys of configs, weights, and measurements."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dovetail.adapters import config as configs
from dovetail.adapters import weight_changes
from dovetail.adapters.factors import Scales
from dovetail.adapters.report import Evaluation, Report
from dovetail.adapters.weight_changes import Change
from registry.repos import facts, weight_comparisons
from registry.repos.manifest import Entry
from registry.repos.weight_comparisons import Compared

MAX_WEIGHTS = 8  # files of one comparison
Entries = Mapping[str, Entry]
State = Literal["same", "compared", "waiting", "unknown"]


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key of an adapter_config.json that differs; a value is None on the side that lacks the key."""

    path: str
    key: str
    change: str  # added, removed or changed
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class WeightsChange:
    """The differences of one safetensors file that both revisions have; `changes` has the largest first."""

    path: str
    state: State
    compared: Compared
    changes: list[Change] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EvaluationChange:
    """One metric of either report; a side that did not measure it is None."""

    before: Evaluation | None
    after: Evaluation | None

    @property
    def row(self) -> Evaluation:
        """The newer measurement, or the older one where there is no newer."""
        row = self.after or self.before
        assert row is not None  # one of the two reports holds it
        return row

    @property
    def change(self) -> float | None:
        """The difference of the adapters' numbers; None unless both are known."""
        if not self.before or not self.after or self.before.adapter is None or self.after.adapter is None:
            return None
        return self.after.adapter - self.before.adapter


def config_changes(old: Entries, new: Entries) -> Iterator[KeyChange]:
    """Yield each key of an adapter_config.json that differs; a file that cannot be read has none."""
    for path in sorted(old.keys() | new.keys()):
        if path.rpartition("/")[2] != configs.NAME or old.get(path) == new.get(path):
            continue
        before, after = facts.config_of(old.get(path)), facts.config_of(new.get(path))
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key) or (key in before) != (key in after):
                change = "changed" if key in before and key in after else "removed" if key in before else "added"
                yield KeyChange(path, key, change, before.get(key), after.get(key))


def weights_changes(old: Entries, new: Entries, limit: int = MAX_WEIGHTS) -> Iterator[WeightsChange]:
    """Yield the differences of the first safetensors files that both have. Raises StoreUnavailable."""
    paths = [path for path in sorted(old.keys() & new.keys()) if path.endswith(".safetensors")]
    for path in paths[:limit]:
        scales = facts.config_beside(old, path), facts.config_beside(new, path)
        if old[path].sha256 == new[path].sha256 and scales[0] == scales[1]:
            yield WeightsChange(path, "same", Compared())
            continue
        compared = weight_comparisons.compare(old[path], new[path])
        state: State = "waiting" if compared.is_waiting else "unknown" if compared.problem else "compared"
        yield WeightsChange(path, state, compared, _changes(compared, *scales))


def _changes(compared: Compared, before: configs.Config, after: configs.Config) -> list[Change]:
    """Return the change of each module, the largest first."""
    found = []
    old, new = Scales(before), Scales(after)
    for one in compared.products:
        scales = old.of(one.module, one.rank_before), new.of(one.module, one.rank_after)
        found.append(weight_changes.changes(one, *scales))
    return sorted(found, key=lambda change: (change.relative is not None, -(change.relative or 0.0), change.module))


def evaluation_changes(before: Report | None, after: Report | None) -> Iterator[EvaluationChange]:
    """Yield each metric of either report, with its measurements on both sides."""
    for old, new in measured_alike([before, after]):
        yield EvaluationChange(old, new)


def measured_alike(reports: Sequence[Report | None]) -> Iterator[list[Evaluation | None]]:
    """Yield each metric of any report, as a list with its measurement in each of them."""
    sides = [{(one.name, one.metric): one for one in report.evals} if report else {} for report in reports]
    for key in dict.fromkeys(key for side in sides for key in side):
        yield [side.get(key) for side in sides]
