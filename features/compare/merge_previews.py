"""Comparisons of the weights of two adapters for one base: how their subspaces overlap, and what their sum would be."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.shapes import factors, merge_preview
from dovetail.adapters.shapes.factors import Scales
from dovetail.adapters.shapes.merge_preview import Merge, ModulePair, Pairs
from registry.models import Revision
from registry.repos import derived, pull
from registry.repos.contents import facts
from registry.repos.contents.facts import open_blob
from registry.repos.manifest import Entry

NOTHING = Pairs((), 0, (0, 0))
MAX_LOOKED_AT = 4  # files of a revision in which pairs of factors are looked for
NO_FACTORS = "holds no pairs of low-rank factors in its first safetensors files"
NOTHING_SHARED = "They change no module of the same name and shape."
NOTHING_MEASURED = "None of the modules that both change has finite values other than 0."


@dataclass(frozen=True, slots=True)
class Preview:
    """Two files, the modules that were compared and their sums; without them `problem` says why."""

    paths: tuple[str, str]
    pairs: Pairs = NOTHING
    merges: tuple[Merge, ...] = ()
    problem: str = ""

    @property
    def total(self) -> Merge | None:
        """The sum of all modules that were compared, taken as one long vector."""
        if not self.merges:
            return None
        merges = self.merges
        first, second = (math.hypot(*(one.norms[side] for one in merges)) for side in (0, 1))
        reads = [math.hypot(*(one.changed[side] * one.norms[side] for one in merges)) for side in (0, 1)]
        merged = math.hypot(*(one.merged for one in merges))
        if not first or not second:  # scaled by 0
            return Merge("", (first, second), merged, 0.0, 1.0, (0.0, 0.0))
        both = sum(one.cosine * one.norms[0] * one.norms[1] for one in merges)
        changed = reads[0] / first, reads[1] / second
        return Merge("", (first, second), merged, both / (first * second), merged / math.hypot(first, second), changed)

    def mean(self, side: str) -> tuple[float | None, float | None]:
        """Return the mean overlap of the `columns` or `rows`, and the one that random subspaces have."""
        overlaps = [getattr(pair, side) for pair in self.pairs.modules]
        return merge_preview.mean(one.value for one in overlaps), merge_preview.mean(one.chance for one in overlaps)

    @property
    def conflict(self) -> float | None:
        """The mean share of opposite signs among the values that are large in both."""
        return merge_preview.mean(pair.conflict for pair in self.pairs.modules)


def preview(one: Revision, two: Revision) -> Preview:
    """Compare the first file with pairs of factors of each revision, within about a second.

    Raises StoreUnavailable. The caller has asked whether both may be downloaded.
    """
    sides = [_weights(revision) for revision in (one, two)]
    for side, revision in zip(sides, (one, two), strict=True):
        if side is None:
            return Preview(("", ""), problem=f"{revision.repository.full_name} {NO_FACTORS}.")
    (first, scales), (second, other_scales) = (side for side in sides if side is not None)
    paths = first.path, second.path
    pairs = _compared(first.sha256, first.size, second.sha256, second.size)
    if not pairs.modules:
        return Preview(paths, pairs, problem=NOTHING_MEASURED if pairs.shared else NOTHING_SHARED)
    return Preview(paths, pairs, tuple(_merge(pair, scales, other_scales) for pair in pairs.modules))


def _merge(pair: ModulePair, first: Scales, second: Scales) -> Merge:
    scales = [table.of(pair.module, rank) for table, rank in zip((first, second), pair.ranks, strict=True)]
    return merge_preview.merge(pair, *scales)


def _weights(revision: Revision) -> tuple[Entry, Scales] | None:
    """Return the file to compare, and the scales that the config beside it gives."""
    entries: Mapping[str, Entry] = pull.entries(revision)
    every = {**entries, **derived.derived_entries(entries)}
    paths = sorted((path for path in every if path.endswith(".safetensors")), key=lambda path: (path.count("/"), path))
    for path in paths[:MAX_LOOKED_AT]:
        try:
            header = headers.read(open_blob(every[path].sha256, every[path].size))
        except HeaderError:
            continue
        if factors.pairs_of(header.tensors):
            return every[path], Scales(facts.config_beside(entries, path))
    return None


@lru_cache(maxsize=64)
def _compared(first: str, first_size: int, second: str, second_size: int) -> Pairs:
    sides = [open_blob(first, first_size), open_blob(second, second_size)]
    (one, old), (two, new) = ((file, headers.read(file)) for file in sides)
    return merge_preview.compare((one, old), (two, new))
