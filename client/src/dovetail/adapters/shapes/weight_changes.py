"""Compares the values of two safetensors files module by module: how far each moved, and in which direction.

A pair of low-rank factors counts as the matrix that it stands for, because many pairs stand for the same one; their
inner products are those of small matrices, so that it is never made. Every other tensor is compared value by value.
The first call imports numpy, as in `values`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

from dovetail.adapters.files.header import Header, TensorInfo
from dovetail.adapters.files.values import EXPONENTS, doubles
from dovetail.adapters.shapes import factors
from dovetail.adapters.shapes.base_norms import layer_of, natural_order

BLOCK = 1 << 20  # values of other tensors that are read at once


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
    """The change of one module: relative to its length before (None if that was 0), and the cosine of the two.

    `length` is the length before, `moved` that of the difference and `after` the one after; all are None where a value
    is not finite.
    """

    module: str
    relative: float | None
    cosine: float | None
    length: float | None = None
    moved: float | None = None
    after: float | None = None

    @property
    def growth(self) -> float | None:
        """The relative growth in length, negative for shorter: 0.5 is half as long again; None from a zero."""
        return self.after / self.length - 1 if self.after is not None and self.length else None


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
    pairs_before, pairs_after = factors.pairs_of(old.tensors), factors.pairs_of(new.tensors)
    found, done = [], set()
    for module in pairs_before.keys() & pairs_after.keys():
        names, names_after = pairs_before[module], pairs_after[module]
        if factors.shape_of_product(old, *names) == factors.shape_of_product(new, *names_after):
            first = factors.factors_of(before, old, names, doubles)
            found.append(_of_products(module, first, factors.factors_of(after, new, names_after, doubles)))
            done |= {*names, *names_after}
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
    length, moved = math.sqrt(before), math.sqrt(max(0.0, before + after - 2 * both))
    cosine = max(-1.0, min(1.0, both / math.sqrt(before * after))) if before * after else None
    return Change(products.module, moved / length if length else None, cosine, length, moved, math.sqrt(after))


def together(found: Iterable[Change]) -> float | None:
    """Return the change of several modules as one long vector, relative to its length before; None if that was 0."""
    known = [(one.length, one.moved) for one in found if one.length is not None and one.moved is not None]
    length, moved = (math.hypot(*side) for side in zip(*known, strict=True)) if known else (0.0, 0.0)
    return moved / length if length else None


def by_layer(found: Iterable[Change]) -> list[tuple[str, float | None]]:
    """Return (layer, change of all its modules together), in the order of layers."""
    layers: dict[str, list[Change]] = {}
    for one in found:
        layers.setdefault(layer_of(one.module), []).append(one)
    return [(name, together(layers[name])) for name in sorted(layers, key=natural_order)]


def _of_products(module: str, before: tuple[Any, Any], after: tuple[Any, Any]) -> Products:
    def product(one: tuple[Any, Any], two: tuple[Any, Any]) -> float:
        if len(one[0]) * len(two[0]) > one[0].shape[1] * len(one[1]):  # ranks above the sides of the matrix
            return float(((one[1] @ one[0]) * (two[1] @ two[0])).sum())
        return float(((one[1].T @ two[1]) * (one[0] @ two[0].T)).sum())

    lengths = product(before, before), product(after, after), product(before, after)
    return Products(module, *lengths, len(before[0]), len(after[0]))


# --- other tensors
def _is_alike(old: TensorInfo, new: TensorInfo) -> bool:
    return old.shape == new.shape and {old.dtype, new.dtype} <= EXPONENTS.keys()


def _of_tensors(name: str, before: BinaryIO, old: TensorInfo, after: BinaryIO, new: TensorInfo) -> Products:
    length_before = length_after = both = 0.0
    for start in range(0, old.values, BLOCK):
        one, two = (factors.values_of(*side, doubles, start, BLOCK) for side in ((before, old), (after, new)))
        length_before += float(one @ one)
        length_after += float(two @ two)
        both += float(one @ two)
    return Products(name, length_before, length_after, both)
