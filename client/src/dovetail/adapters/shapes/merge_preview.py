"""Compares the subspaces of two adapters, and predicts their sum, module by module, from the low-rank factors.

Sources. Overlap φ = ‖U₁ᵀU₂‖² / min(d₁, d₂) of two subspaces with orthonormal bases U: Hu et al., "LoRA: Low-Rank
Adaptation of Large Language Models", 2021, section 7.2. Its angles and the projection metric: Hamm and Lee, "Grassmann
discriminant analysis", ICML 2008. Conflicts of signs among the largest fifth of the values: Yadav et al.,
"TIES-Merging", NeurIPS 2023. The first call imports numpy, as in `values`.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any, BinaryIO

from dovetail.adapters.files.header import Header
from dovetail.adapters.files.values import singles
from dovetail.adapters.shapes import factors

MAX_MODULES = 64
MAX_VALUES = 4_000_000  # of the factors of one module: it is left out beyond that
MAX_RANK = 512  # likewise: singular values take the cube of it, and a page waits for them
MAX_ANGLES = 64  # that are kept of a module
SECONDS = 0.7
SAMPLE = 1 << 15  # values of each matrix in which signs are compared
KEPT = 0.2  # the share of values, by magnitude, that TIES keeps
_NOTHING = 1e-5  # of the largest singular value: directions below that are rounding
Array = Any
Open = tuple[BinaryIO, Header]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two subspaces of dimensions `first` and `second`: φ in `value`, principal angles in degrees, the smallest first.

    At most MAX_ANGLES of these. `chance` is the φ that two random subspaces have on average; `distance` is the
    projection metric ‖sin θ‖.
    """

    value: float
    chance: float
    distance: float
    angles: tuple[float, ...]
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class ModulePair:
    """One module that both adapters change, without the scale of a config.

    `first`, `second` and `both` are the squared norms of the changes and their inner product. `columns` are the spaces
    in which the changes write, `rows` those that they read. `first_read` is the squared norm of what the second change
    makes of the inputs that the first one reads, `second_read` the other way round. `conflict` is the share of opposite
    signs among the values that TIES would keep of both, `kept` the share of all values that these are.
    """

    module: str
    ranks: tuple[int, int]
    first: float
    second: float
    both: float
    columns: Overlap
    rows: Overlap
    first_read: float
    second_read: float
    conflict: float | None
    kept: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """The modules that were compared, how many both adapters have in one shape, and how many one alone has."""

    modules: tuple[ModulePair, ...]
    shared: int
    alone: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Merge:
    """The sum of one module of both adapters with their scales, relative to them.

    `growth` is the norm of the sum by the root of the sum of the squared norms: 1 where they are orthogonal, √2 where
    equals agree, 0 where they cancel. `changed` is the interference: the norm of what the second adapter adds on the
    inputs that the first one reads, by the norm of the first; and the other way round.
    """

    module: str
    norms: tuple[float, float]
    merged: float
    cosine: float
    growth: float
    changed: tuple[float, float]


def compare(one: Open, two: Open, seconds: float = SECONDS) -> Pairs:
    """Compare modules of two files, spread over all that both have, until MAX_MODULES are done or the time is over.

    Raises OSError where a file cannot be read.
    """
    until = time.monotonic() + seconds
    pairs = [
        {_plain(name): names for name, names in factors.pairs_of(header.tensors).items()} for _, header in (one, two)
    ]
    shared = sorted(name for name in pairs[0].keys() & pairs[1].keys() if _is_alike(one, two, pairs, name))
    done = []
    for name in _spread(shared)[:MAX_MODULES]:
        sides = [_sides(*side, named[name]) for side, named in zip((one, two), pairs, strict=True)]
        if compared := _compared(name, *sides):
            done.append(compared)
        if time.monotonic() > until:
            break
    alone = len(pairs[0].keys() - shared), len(pairs[1].keys() - shared)
    return Pairs(tuple(sorted(done, key=lambda pair: pair.module)), len(shared), alone)


def merge(pair: ModulePair, first: float, second: float) -> Merge:
    """Return the sum of a module with the scales of both adapters."""
    squares = pair.first * first**2, pair.second * second**2
    both = pair.both * first * second
    norms = math.sqrt(squares[0]), math.sqrt(squares[1])
    merged = math.sqrt(max(0.0, sum(squares) + 2 * both))
    cosine = max(-1.0, min(1.0, both / (norms[0] * norms[1]))) if norms[0] * norms[1] else 0.0
    reads = abs(second) * math.sqrt(pair.first_read), abs(first) * math.sqrt(pair.second_read)
    changed = reads[0] / norms[0] if norms[0] else 0.0, reads[1] / norms[1] if norms[1] else 0.0
    growth = merged / math.hypot(*norms) if any(norms) else 1.0
    return Merge(pair.module, norms, merged, cosine, growth, changed)


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are known; None without any."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _is_alike(one: Open, two: Open, pairs: list[dict[str, tuple[str, str]]], name: str) -> bool:
    names = pairs[0][name], pairs[1][name]
    sizes = [
        header.tensors[tensor].values for (_, header), both in zip((one, two), names, strict=True) for tensor in both
    ]
    shapes = {factors.shape_of_product(side[1], *both) for side, both in zip((one, two), names, strict=True)}
    ranks = [factors.rank_of(header.tensors, down) for (_, header), (down, _) in zip((one, two), names, strict=True)]
    return len(shapes) == 1 and max(sizes) <= MAX_VALUES and max(ranks) <= MAX_RANK


def _plain(name: str) -> str:
    return name.removeprefix("base_model.model.")


def _spread(names: list[str]) -> list[str]:
    """Return names in an order of which every beginning is spread over all of them: by the golden section."""
    places = {name: place for place, name in enumerate(names)}
    return sorted(names, key=lambda name: places[name] * 0.6180339887498949 % 1)


@dataclass(frozen=True, slots=True)
class _Side:
    inner: Array  # rank × in
    outer: Array  # out × rank
    left: Array  # out × dimension: an orthonormal basis of the columns
    right: Array  # in × dimension: of the rows


def _sides(file: BinaryIO, header: Header, names: tuple[str, str]) -> _Side | None:
    """Return the factors and the singular vectors of their product; None where it is zero or not finite."""
    import numpy as np  # noqa: PLC0415 - as in `values`

    inner, outer = factors.factors_of(file, header, names, singles)
    if not (np.isfinite(inner).all() and np.isfinite(outer).all()):
        return None
    left, of_outer = np.linalg.qr(outer)
    right, of_inner = np.linalg.qr(inner.T)
    small, singular, turned = np.linalg.svd(of_outer @ of_inner.T)
    dimension = int((singular > _NOTHING * singular[0]).sum())
    return _Side(inner, outer, left @ small[:, :dimension], right @ turned[:dimension].T) if dimension else None


def _compared(module: str, one: _Side | None, two: _Side | None) -> ModulePair | None:
    import numpy as np  # noqa: PLC0415 - as in `values`

    if one is None or two is None:
        return None
    products = [
        float(((left.outer.T @ right.outer) * (left.inner @ right.inner.T)).sum())
        for left, right in ((one, one), (two, two), (one, two))
    ]
    reads = [
        float(((writes.outer.T @ writes.outer) @ (seen := writes.inner @ reader.right) * seen).sum())
        for reader, writes in ((one, two), (two, one))
    ]
    if not all(map(np.isfinite, (*products, *reads))) or min(products[:2]) <= 0:
        return None
    conflict, kept = _conflict(one, two)
    columns, rows = _overlap(one.left, two.left), _overlap(one.right, two.right)
    ranks, (first, second, both) = (len(one.inner), len(two.inner)), products
    return ModulePair(
        module, ranks, first, second, both, columns, rows, max(0.0, reads[0]), max(0.0, reads[1]), conflict, kept
    )


def _overlap(one: Array, two: Array) -> Overlap:
    import numpy as np  # noqa: PLC0415 - as in `values`

    cosines = np.linalg.svd(one.T @ two, compute_uv=False).clip(0.0, 1.0).astype("<f8")
    squares, dimensions = float((cosines**2).sum()), (one.shape[1], two.shape[1])
    angles = tuple(round(float(angle), 2) for angle in np.degrees(np.arccos(cosines[:MAX_ANGLES])))
    distance = math.sqrt(max(0.0, min(dimensions) - squares))
    return Overlap(squares / min(dimensions), max(dimensions) / one.shape[0], distance, angles, *dimensions)


def _conflict(one: _Side, two: _Side) -> tuple[float | None, float]:
    """Return the share of opposite signs among values that are large in both, and the share that these are of all.

    In rows of the matrices that are spread evenly, at least SAMPLE values or all.
    """
    import numpy as np  # noqa: PLC0415 - as in `values`

    rows, width = len(one.outer), one.inner.shape[1]
    count = min(rows, max(1, -(-SAMPLE // width)))
    chosen = np.linspace(0, rows - 1, count).astype(int)
    values = [(side.outer[chosen] @ side.inner).ravel() for side in (one, two)]
    large = [np.abs(side) >= np.partition(np.abs(side), place := int((1 - KEPT) * side.size))[place] for side in values]
    both = large[0] & large[1]
    kept = int(both.sum())
    opposite = int(((values[0][both] > 0) != (values[1][both] > 0)).sum())
    return (opposite / kept if kept else None), kept / values[0].size
