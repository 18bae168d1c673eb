"""The weight passport of a safetensors file: norm and effective rank of each module, and a fingerprint of the weights.

A pair of low-rank factors counts as the matrix B·A that it stands for, without the scale of a config. The fingerprint
is the sum of one sketch per module, each of length 1. So it is the same for every pair of factors of that matrix (B·R
and R⁻¹·A), and under other names, scales, metadata and dtypes. The cosine of two fingerprints estimates the mean cosine
of their modules; that of two unrelated adapters is 0 with a standard deviation of about 0.05.

Source of the effective rank: Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO
2007. The first measurement imports numpy, as in `values`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, BinaryIO

from dovetail.adapters import factors
from dovetail.adapters.header import Header, TensorInfo
from dovetail.adapters.values import EXPONENTS, singles

COPY = 0.998  # cosine of fingerprints: the same weights in another form; rounding to half precision leaves 0.9998
NEAR = 0.8  # cosine: most of the change is the same
BANDS = 8  # keys of a fingerprint, by which an index finds those that are nearly equal
SIGNS = 16  # of numbers of the fingerprint, in each key
BLOCK = 1 << 16  # values of other tensors that are sketched at once
MAX_SPECTRUM = 64  # values of the mean spectrum
OUTLIER = 10.0  # times the median norm of the modules of its kind
MIN_KIND = 4  # modules: of fewer a median means nothing


@dataclass(frozen=True, slots=True)
class Module:
    """One matrix B·A of this rank, or one other tensor (rank 0), of which only the norm is measured.

    `norm` is the Frobenius norm and `largest` the largest singular value, both without the scale of a config;
    `effective_rank` is e to the power of the entropy of the singular values. None where a value is not finite.
    """

    name: str
    rank: int
    norm: float | None
    largest: float | None = None
    effective_rank: float | None = None
    shape: tuple[int, int] | None = None  # of the matrix


@dataclass(frozen=True, slots=True)
class Passport:
    """The measurements of one file. `spectrum` has the mean of the singular values as shares of the largest.

    `fingerprint` has one signed byte per number of the sketch. It is of the pairs of low-rank factors alone, or of all
    tensors where there is no pair. Modules that are zero or not finite are left out; without others it is empty.
    """

    modules: tuple[Module, ...]
    spectrum: tuple[float, ...]
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Outlier:
    """A module whose norm is `times` the median of the `population` modules of its kind, such as all `q_proj`."""

    module: str
    kind: str
    times: float
    population: int


def measure(file: BinaryIO, header: Header) -> Passport:
    """Return the passport of a file. Raises OSError where it cannot be read."""
    from dovetail.adapters import sketches  # noqa: PLC0415 - it needs numpy, and to read a passport does not

    pairs = factors.pairs_of(header.tensors)
    total = sketches.ZERO
    modules, spectra = [], []
    for name, names in sorted(pairs.items()):
        inner, outer = factors.factors_of(file, header, names, singles)
        singular = sketches.singular_values(inner, outer)
        modules.append(replace(_of_matrix(name, singular), shape=factors.shape_of_product(header, *names)))
        if norm := modules[-1].norm:
            spectra.append(singular)
            total = total + sketches.of_product(inner, outer) / norm
    used = {tensor for names in pairs.values() for tensor in names}
    for name, tensor in sorted(header.tensors.items()):
        if name not in used and tensor.dtype in EXPONENTS and tensor.values:
            norm, sketch = _of_tensor(file, tensor, is_sketched=not pairs)
            modules.append(Module(name, 0, norm))
            total = total + sketch / norm if norm and not pairs else total
    return Passport(tuple(modules), _mean_spectrum(spectra), sketches.quantised(total))


def cost(header: Header) -> int:
    """Return how much computing the singular values takes: the sum of the cubes of the ranks."""
    return sum(header.tensors[down].shape[0] ** 3 for down, _ in factors.pairs_of(header.tensors).values())


def cosine(one: bytes, two: bytes) -> float:
    """Return the cosine of two fingerprints; 0 where one is empty."""
    from dovetail.adapters import sketches  # noqa: PLC0415 - as above

    return sketches.cosine(one, two)


def bands_of(fingerprint: bytes) -> list[int]:
    """Return the keys of a fingerprint, none of an empty one: nearly equal fingerprints share at least one of them.

    A key has the number of its band above SIGNS bits, the signs of as many numbers of the fingerprint.
    """
    if not fingerprint:
        return []
    is_positive = [byte < 1 << 7 for byte in fingerprint[:: len(fingerprint) // (BANDS * SIGNS)]]
    return [
        band << SIGNS | sum(is_positive[band * SIGNS + bit] << bit for bit in range(SIGNS)) for band in range(BANDS)
    ]


def outliers(modules: Sequence[Module]) -> Iterator[Outlier]:
    """Yield the matrices whose norm is more than OUTLIER times the median of their kind, the largest first."""
    for kind, members in kinds_of(modules).items():
        norms = {module.name: module.norm for module in members if module.norm}
        middle = median(norms.values()) if len(norms) >= MIN_KIND else math.inf
        for name, norm in sorted(norms.items(), key=lambda item: -item[1]):
            if norm > OUTLIER * middle:
                yield Outlier(name, kind, norm / middle, len(norms))


def kinds_of(modules: Sequence[Module]) -> dict[str, list[Module]]:
    """Return the last part of their names, such as `q_proj`, → the matrices of finite norm that are called so."""
    kinds: dict[str, list[Module]] = {}
    for module in modules:
        if module.rank and module.norm is not None:
            kinds.setdefault(module.name.rpartition(".")[2], []).append(module)
    return kinds


def _of_matrix(name: str, singular: list[float]) -> Module:
    norm, total = math.hypot(*singular), sum(singular)
    if not math.isfinite(norm):
        return Module(name, len(singular), None)
    if not norm:
        return Module(name, len(singular), 0.0, 0.0, 0.0)
    entropy = -sum(value / total * math.log(value / total) for value in singular if value)
    return Module(name, len(singular), norm, singular[0], math.exp(entropy))


def _mean_spectrum(spectra: list[list[float]]) -> tuple[float, ...]:
    length = min(max(map(len, spectra), default=0), MAX_SPECTRUM)
    sums = (sum(one[place] / one[0] for one in spectra if place < len(one)) for place in range(length))
    return tuple(round(value / len(spectra), 6) for value in sums)


def _of_tensor(file: BinaryIO, tensor: TensorInfo, *, is_sketched: bool) -> tuple[float | None, Any]:
    """Return the norm of a tensor, and its sketch where that is asked for."""
    from dovetail.adapters import sketches  # noqa: PLC0415 - as above

    squares, sketch = 0.0, sketches.ZERO
    for start in range(0, tensor.values, BLOCK):
        values = factors.values_of(file, tensor, singles, start, BLOCK)
        squares += float(values.astype("<f8") @ values)
        sketch = sketch + sketches.of_values(values) if is_sketched else sketch
    return math.sqrt(squares) if math.isfinite(squares) else None, sketch
