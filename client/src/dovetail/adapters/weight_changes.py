"""Compares the values of two safetensors files module by module: how far each moved, and in which direction.

A pair of low-rank factors counts as the matrix that it stands for, because many pairs stand for the same one; their
inner products are those of small matrices, so that it is never made. Every other tensor is compared value by value.
The first call imports numpy, as in `values`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from dovetail.adapters import config as configs
from dovetail.adapters.header import Header, TensorInfo
from dovetail.adapters.patterns import Pattern, PatternError
from dovetail.adapters.values import EXPONENTS, doubles

MAX_FACTOR = 16_000_000  # values of one factor: more are not read at once
BLOCK = 1 << 20  # values of other tensors that are read at once
_FACTOR = re.compile(r"(.+)\.lora_(A|B|down|up|embedding_A|embedding_B)(?:\.default)?(?:\.weight)?")
_DOWN = ("A", "down", "embedding_A")
_DEFAULT_ALPHA = 8.0  # of PEFT


@dataclass(frozen=True, slots=True)
class Products:
    """The inner products of a module's values before and after, without the scale of a config.

    `before` and `after` are the squared lengths, `both` is the product of the two. A rank of 0 means a plain tensor.
    """

    module: str
    before: float
    after: float
    both: float
    rank_before: int = 0
    rank_after: int = 0


@dataclass(frozen=True, slots=True)
class Names:
    """The names of tensors that are in one file alone, or have another shape or dtype (name, before, after)."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    reshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    retyped: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one module: relative to its length before (None if that was 0), and the cosine of the two."""

    module: str
    relative: float | None
    cosine: float | None


def compare_names(before: Header, after: Header) -> Names:
    """Return how the tensors of two files differ by their headers alone."""
    old, new = before.tensors, after.tensors
    shared = sorted(old.keys() & new.keys())
    return Names(
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(old.keys() - new.keys())),
        tuple((name, old[name].shape, new[name].shape) for name in shared if old[name].shape != new[name].shape),
        tuple((name, old[name].dtype, new[name].dtype) for name in shared if old[name].dtype != new[name].dtype),
    )


def compare_values(before: BinaryIO, old: Header, after: BinaryIO, new: Header) -> list[Products]:
    """Return the products of every module that both files hold in comparable form, by name."""
    pairs_before, pairs_after = _pairs(old.tensors), _pairs(new.tensors)
    found, done = [], set()
    for module in pairs_before.keys() & pairs_after.keys():
        (down, up), (down_after, up_after) = pairs_before[module], pairs_after[module]
        if _outer(old, down, up) == _outer(new, down_after, up_after):
            factors = _factors(before, old, down, up), _factors(after, new, down_after, up_after)
            found.append(_of_products(module, *factors))
            done |= {down, up, down_after, up_after}
    for name in (old.tensors.keys() & new.tensors.keys()) - done:
        if _is_alike(old.tensors[name], new.tensors[name]):
            found.append(_of_tensors(name, before, old.tensors[name], after, new.tensors[name]))
    return sorted(found, key=lambda products: products.module)


def changes(products: Products, scale_before: float = 1.0, scale_after: float = 1.0) -> Change:
    """Return the change of a module whose values the two configs scale."""
    before = products.before * scale_before**2
    after = products.after * scale_after**2
    both = products.both * scale_before * scale_after
    if not all(map(math.isfinite, (before, after, both))):
        return Change(products.module, None, None)
    relative = math.sqrt(max(0.0, before + after - 2 * both) / before) if before else None
    cosine = max(-1.0, min(1.0, both / math.sqrt(before * after))) if before * after else None
    return Change(products.module, relative, cosine)


def scale_of(config: configs.Config, module: str, rank: int) -> float:
    """Return the factor by which PEFT scales a pair of this rank; 1 for a plain tensor."""
    if not rank:
        return 1.0
    alpha = configs.number(config, "lora_alpha") or _DEFAULT_ALPHA
    patterns = config.get("alpha_pattern")
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        if isinstance(value, int | float) and _matches(str(pattern), module):
            alpha = float(value)
            break
    return alpha / (math.sqrt(rank) if config.get("use_rslora") is True else rank)


def _matches(pattern: str, module: str) -> bool:
    try:
        return Pattern(rf"(?:.*\.)?(?:{pattern.removeprefix('^')})").fullmatch(module)
    except PatternError:
        return False


# --- pairs of factors
def _pairs(tensors: Mapping[str, TensorInfo]) -> dict[str, tuple[str, str]]:
    """Return module → names of its two factors: the one that leads into the low rank, and the one that leads out."""
    sides: dict[str, dict[bool, str]] = {}
    for name in tensors:
        if match := _FACTOR.fullmatch(name):
            sides.setdefault(match[1], {})[match[2] in _DOWN] = name
    both = {module: (names[True], names[False]) for module, names in sides.items() if len(names) == 2}
    return {module: names for module, names in both.items() if _is_pair(*(tensors[name] for name in names))}


def _is_pair(down: TensorInfo, up: TensorInfo) -> bool:
    return (
        len(down.shape) in (2, 4)
        and len(up.shape) == len(down.shape)
        and down.shape[0] == up.values // up.shape[0]
        and max(down.values, up.values) <= MAX_FACTOR
        and {down.dtype, up.dtype} <= EXPONENTS.keys()
    )


def _outer(header: Header, down: str, up: str) -> tuple[int, int]:
    """Return the shape of the matrix that two factors stand for."""
    first = header.tensors[down]
    return header.tensors[up].shape[0], first.values // first.shape[0]


def _factors(file: BinaryIO, header: Header, down: str, up: str) -> tuple[Any, Any]:
    rank = header.tensors[down].shape[0]
    inner, outer = (_read(file, header.tensors[name]) for name in (down, up))
    return inner.reshape(rank, -1), outer.reshape(-1, rank)


def _of_products(module: str, before: tuple[Any, Any], after: tuple[Any, Any]) -> Products:
    def product(one: tuple[Any, Any], two: tuple[Any, Any]) -> float:
        return float(((one[1].T @ two[1]) * (one[0] @ two[0].T)).sum())

    lengths = product(before, before), product(after, after), product(before, after)
    return Products(module, *lengths, len(before[0]), len(after[0]))


# --- other tensors
def _is_alike(old: TensorInfo, new: TensorInfo) -> bool:
    return old.shape == new.shape and {old.dtype, new.dtype} <= EXPONENTS.keys()


def _of_tensors(name: str, before: BinaryIO, old: TensorInfo, after: BinaryIO, new: TensorInfo) -> Products:
    length_before = length_after = both = 0.0
    for start in range(0, old.values, BLOCK):
        one, two = _read(before, old, start, BLOCK), _read(after, new, start, BLOCK)
        length_before += float(one @ one)
        length_after += float(two @ two)
        both += float(one @ two)
    return Products(name, length_before, length_after, both)


def _read(file: BinaryIO, tensor: TensorInfo, start: int = 0, count: int | None = None) -> Any:
    """Return values of a tensor in double precision, flat; the products of nearly equal ones need it."""
    width = tensor.size // tensor.values
    file.seek(tensor.offset + start * width)
    raw = file.read(min(tensor.size - start * width, tensor.size if count is None else count * width))
    return doubles(raw, tensor.dtype)
