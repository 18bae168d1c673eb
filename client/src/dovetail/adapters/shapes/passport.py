"""The weight passport of a safetensors file: norm and effective rank of each module, and a fingerprint of the weights.

A pair of low-rank factors counts as the matrix B·A that it stands for, without the scale of a config. The fingerprint
is the sum of one sketch per module, each of length 1. So it is the same for every pair of factors of that matrix (B·R
and R⁻¹·A), and under other names, scales, metadata and dtypes. The cosine of two fingerprints estimates the mean cosine
of their modules; that of two unrelated adapters is 0 with a standard deviation of about 0.05. A smaller sketch of each
module tells whether the same matrices stand in the same places.

Half of the modules of a file, or the average of two adapters, leaves a cosine of 0.7, which an index of fingerprints
does not find: the keys of parts are of each module alone, at its own place.

Source of the effective rank: Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO
2007. The first measurement imports numpy, as in `values`.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from statistics import median
from typing import Any, BinaryIO
from zlib import crc32

from dovetail.adapters.files.header import Header, TensorInfo
from dovetail.adapters.files.values import EXPONENTS, singles
from dovetail.adapters.shapes import factors

COPY = 0.998  # cosine of fingerprints: the same weights in another form; rounding to half precision leaves 0.9998
NEAR = 0.8  # cosine: most of the change is the same
SAME_PLACE = 0.5  # cosine of two modules' sketches: four deviations of unrelated ones
BANDS = 8  # keys of a fingerprint, by which an index finds those that are nearly equal
SIGNS = 16  # of numbers of the fingerprint, in each key
LOOSE = 4  # of them may differ where the keys of near fingerprints are looked for
BLOCK = 1 << 16  # values of other tensors that are sketched at once
MAX_SPECTRUM = 64  # values of the mean spectrum
OUTLIER = 10.0  # times the median norm of the modules of its kind
MIN_KIND = 4  # modules: of fewer a median means nothing
_ALL_SIGNS = (1 << SIGNS) - 1
WORD = re.compile(r"[a-zA-Z0-9]+")
ENDING = re.compile(r"\.diff(\.weight)?$")
PART = 0.4  # cosine of a module that is mixed with another; unrelated ones have a deviation of 1/8
ALIKE = 0.9  # share of the modules of the smaller file that must reach it
LEAST = 4  # modules: fewer may be alike by chance
PLACES = 32  # modules of a file that an index has a key of
KEY_SIGNS = 12  # of numbers of a module's sketch, in its key
FIRST_KEY = 1 << 30  # above the keys of fingerprints


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
    sketch: bytes = b""  # of sketches.SMALL signed bytes; empty in older passports, and of what has no part in the sum


@dataclass(frozen=True, slots=True)
class Passport:
    """The measurements of one file. `spectrum` has the mean of the singular values as shares of the largest.

    `fingerprint` has one signed byte per number of the sketch. It is of the pairs of low-rank factors and of whole
    differences of matrices alone, or of all tensors where there is neither. Modules that are zero or not finite are
    left out; without others it is empty.
    """

    modules: tuple[Module, ...]
    spectrum: tuple[float, ...]
    fingerprint: bytes


# Kind of module, such as `q_proj` → the median of its norms in other adapters, and the number of these adapters.
Peers = Mapping[str, tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Outlier:
    """A module whose norm is `times` the median of the modules of its kind, such as all `q_proj`.

    `population` is how many other adapters this median is of, or how many modules of the same file.
    """

    module: str
    kind: str
    times: float
    population: int
    is_of_adapters: bool = False


def measure(file: BinaryIO, header: Header) -> Passport:
    """Return the passport of a file. Raises OSError where it cannot be read."""
    from dovetail.adapters.shapes import sketches  # noqa: PLC0415 - it needs numpy, and to read a passport does not

    pairs = factors.pairs_of(header.tensors)
    total = sketches.ZERO
    modules: list[Module] = []
    spectra: list[list[float]] = []
    small: dict[int, Any] = {}  # place in `modules` → sketch

    def add(module: Module, sketch: Any) -> None:
        nonlocal total
        if module.norm and sketch is not None:
            sketch = sketch / module.norm
            total = total + sketch
            small[len(modules)] = sketches.small(sketch)
        modules.append(module)

    for name, names in sorted(pairs.items()):
        inner, outer = factors.factors_of(file, header, names, singles)
        singular = sketches.singular_values(inner, outer)
        module = replace(_of_matrix(name, singular), shape=factors.shape_of_product(header, *names))
        if module.norm:
            spectra.append(singular)
        add(module, sketches.of_product(inner, outer) if module.norm else None)
    used = {tensor for names in pairs.values() for tensor in names}
    others = {name: tensor for name, tensor in sorted(header.tensors.items()) if name not in used}
    whole = {name for name, tensor in others.items() if factors.is_difference(name, tensor)}
    for name, tensor in others.items():
        if tensor.dtype in EXPONENTS and tensor.values:
            norm, sketch = _of_tensor(file, tensor, is_sketched=not (pairs or whole))
            if norm and name in whole:
                sketch = sketches.of_matrix(factors.values_of(file, tensor, singles).reshape(tensor.shape[0], -1))
            add(Module(name, 0, norm), sketch)
    for place, raw in zip(small, sketches.quantised_small(list(small.values())), strict=True):
        modules[place] = replace(modules[place], sketch=raw)
    return Passport(tuple(modules), _mean_spectrum(spectra), sketches.quantised(total))


def cost(header: Header) -> int:
    """Return how much computing the singular values takes: the sum of the cubes of the ranks."""
    return sum(factors.rank_of(header.tensors, down) ** 3 for down, _ in factors.pairs_of(header.tensors).values())


def cosines(one: bytes, others: Sequence[bytes]) -> list[float]:
    """Return the cosines of a fingerprint with others, as `cosine` does."""
    from dovetail.adapters.shapes import sketches  # noqa: PLC0415 - as above

    return sketches.cosines(one, others)


def cosine(one: bytes, two: bytes) -> float:
    """Return the cosine of two fingerprints; 0 where one is empty."""
    from dovetail.adapters.shapes import sketches  # noqa: PLC0415 - as above

    return sketches.cosine(one, two)


def in_place(one: Sequence[Module], two: Sequence[Module]) -> float:
    """Return the share of the modules that both have by name whose matrices are alike, with either sign.

    It is 1 where that cannot be told: sketches are missing, or most of the names are others. A beginning that all names
    of a file share does not count.
    """
    from dovetail.adapters.shapes import sketches  # noqa: PLC0415 - as above

    left, right = _by_place(one), _by_place(two)
    shared = sorted(left.keys() & right.keys())
    if 2 * len(shared) <= min(len(left), len(right)):
        return 1.0
    found = sketches.pairwise([left[name] for name in shared], [right[name] for name in shared], sketches.SMALL)
    return sum(abs(value) >= SAME_PLACE for value in found) / len(shared)


def _by_place(modules: Sequence[Module]) -> dict[tuple[str, ...], bytes]:
    """Return the words of a name, without those that all names begin with → the sketch."""
    places = {tuple(WORD.findall(ENDING.sub("", one.name))): one.sketch for one in modules if one.sketch}
    same = len(list(takewhile(lambda words: len(set(words)) == 1, zip(*places, strict=False))))
    return {words[same:]: sketch for words, sketch in places.items()}


def bands_of(fingerprint: bytes) -> list[int]:
    """Return the keys of a fingerprint, none of an empty one; an index has a row for each.

    A key has the number of its band above SIGNS bits, the signs of as many numbers of the fingerprint.
    """
    return [band << SIGNS | signs_of(numbers) for band, numbers in enumerate(_bands(fingerprint))]


def probes_of(fingerprint: bytes) -> list[int]:
    """Return the keys to look for: 99 of 100 fingerprints with a cosine of 0.9 have one of them, 80 of 100 with NEAR.

    In each band they are the keys with either sign of the LOOSE numbers nearest to zero, which change their sign first,
    and that of the negated fingerprint.
    Idea: Lv et al., "Multi-Probe LSH: Efficient Indexing for High-Dimensional Similarity Search", VLDB 2007.
    """
    return [
        band << SIGNS | signs_of(numbers) ^ flips
        for band, numbers in enumerate(_bands(fingerprint))
        for flips in (*flips_of(numbers), _ALL_SIGNS)
    ]


def _bands(fingerprint: bytes) -> list[list[int]]:
    """Return the numbers of each band."""
    if not fingerprint:
        return []
    numbers = memoryview(fingerprint).cast("b")[:: len(fingerprint) // (BANDS * SIGNS)].tolist()
    return [numbers[band * SIGNS : (band + 1) * SIGNS] for band in range(BANDS)]


def signs_of(numbers: Sequence[int]) -> int:
    """Return the signs of numbers as bits."""
    return sum(1 << bit for bit, number in enumerate(numbers) if number >= 0)


def flips_of(numbers: Sequence[int]) -> list[int]:
    """Return the masks of all sets of the LOOSE numbers nearest to zero, the empty set first."""
    flips = [0]
    for bit in sorted(range(len(numbers)), key=lambda bit: abs(numbers[bit]))[:LOOSE]:
        flips += [mask | 1 << bit for mask in flips]
    return flips


def outliers(modules: Sequence[Module], peers: Peers) -> Iterator[Outlier]:
    """Yield the matrices whose norm is more than OUTLIER times the median of their kind, the largest first.

    A kind that peers have is measured against them, another one against the file itself.
    """
    for kind, members in kinds_of(modules).items():
        norms = {module.name: module.norm for module in members if module.norm}
        own = (median(norms.values()), len(norms)) if len(norms) >= MIN_KIND else (math.inf, 0)
        middle, population = peers.get(kind, own)
        for name, norm in sorted(norms.items(), key=lambda item: -item[1]):
            if norm > OUTLIER * middle:
                yield Outlier(name, kind, norm / middle, population, is_of_adapters=kind in peers)


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
    """Return the norm of a tensor, and its sketch where that is asked for, else None."""
    from dovetail.adapters.shapes import sketches  # noqa: PLC0415 - as above

    squares, sketch = 0.0, sketches.ZERO if is_sketched else None
    for start in range(0, tensor.values, BLOCK):
        values = factors.values_of(file, tensor, singles, start, BLOCK)
        squares += float(values.astype("<f8") @ values)
        sketch = sketch + sketches.of_values(values) if is_sketched else None
    return math.sqrt(squares) if math.isfinite(squares) else None, sketch


def contained(one: Sequence[Module], two: Sequence[Module]) -> float:
    """Return the mean cosine, without signs, of the modules of the smaller file with those in the same places.

    It is 0 where fewer than ALIKE of them reach PART, and where the smaller file has fewer than LEAST.
    """
    from dovetail.adapters.shapes import sketches  # noqa: PLC0415 - it needs numpy, and to read a passport does not

    left, right = ({_place(module.name): module.sketch for module in side if module.sketch} for side in (one, two))
    shared = sorted(left.keys() & right.keys())
    needed = ALIKE * min(len(left), len(right))
    if len(shared) < max(LEAST, needed):
        return 0.0
    found = sketches.pairwise([left[name] for name in shared], [right[name] for name in shared], sketches.SMALL)
    cosines = [abs(value) for value in found]
    return sum(cosines) / len(cosines) if sum(value >= PART for value in cosines) >= needed else 0.0


def part_keys(modules: Sequence[Module]) -> set[int]:
    """Return a key for each module, the hash of its place above the signs of KEY_SIGNS numbers of its sketch.

    Of more than PLACES modules, all files have those of the smallest hashes.
    """
    return {place | signs_of(numbers) for place, numbers in _hashed(modules)}


def part_probes(modules: Sequence[Module]) -> set[int]:
    """Return the keys to look for: of mixed and negated modules too, as `probes_of` does of fingerprints."""
    hashed, every = _hashed(modules), (1 << KEY_SIGNS) - 1
    return {place | signs_of(one) ^ flips for place, one in hashed for flips in (*flips_of(one), every)}


def _hashed(modules: Sequence[Module]) -> list[tuple[int, list[int]]]:
    """Return the upper bits of a key and the numbers of each module that has one."""
    hashed = sorted((crc32(" ".join(_place(one.name)).encode()), one.sketch) for one in modules if one.sketch)
    return [
        (
            FIRST_KEY | place >> 14 << KEY_SIGNS,
            memoryview(sketch).cast("b")[:: len(sketch) // KEY_SIGNS].tolist()[:KEY_SIGNS],
        )
        for place, sketch in hashed[:PLACES]
    ]


def _place(name: str) -> tuple[str, ...]:
    """Return the words of a module's name from its first number on, which other forms of a file have too."""
    words = WORD.findall(ENDING.sub("", name))
    return tuple(words[next((at for at, word in enumerate(words) if word.isdecimal()), 0) :])
