"""One module of a merge: which sources have it, what rank it gets, and its two matrices once they are asked for."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dovetail.adapters.convert.lora import Lazy, Module, Unconvertible
from dovetail.adapters.files import values

SIDES = ("down", "up")
AVERAGE = -1  # of `Recipe.head`


@dataclass(frozen=True)
class Recipe:
    """The way to merge; `rank` is that of svd, 0 for the largest of the sources; `seed` chooses what DARE drops.

    `head` is what becomes of trained heads: the number of the source whose head is kept, from 1; AVERAGE; or 0, which
    takes a head that only one has, or that is the same in all.
    """

    method: str = "linear"
    density: float = 1.0
    rank: int = 0
    seed: int = 0
    head: int = 0


@dataclass(frozen=True)
class Part:
    """A module of one source, with the source's number and weight."""

    number: int
    module: Module
    weight: float


def merged(path: str, modules: Sequence[Module | None], weights: Sequence[float], recipe: Recipe) -> Module:
    """Return the merged module with a scale of 1; a source that lacks it adds nothing."""
    pairs = enumerate(zip(modules, weights, strict=True))
    parts = [Part(number, module, weight) for number, (module, weight) in pairs if module is not None]
    for part in parts:
        for tensor in (part.module.down, part.module.up):
            if tensor.dtype not in values.FLOATS:
                raise Unconvertible(f"its matrices are {tensor.dtype}, with which nothing is added.", path)
    rank = _rank(path, parts, recipe)
    first = parts[0].module
    down = (rank, *first.down.shape[1:])
    up = (first.up.shape[0], rank, *first.up.shape[2:])
    if recipe.method == "svd" and len(down) != 2:
        raise Unconvertible("it is a convolution, which svd does not take here.", path)
    compute = _Once(lambda: _matrices(path, parts, recipe, rank))
    dtypes = {tensor.dtype for part in parts for tensor in (part.module.down, part.module.up)}
    dtype = dtypes.pop() if len(dtypes) == 1 else "F32"
    return Module(_lazy(path, dtype, down, compute, 0), _lazy(path, dtype, up, compute, 1), 1.0)


def _rank(path: str, parts: Sequence[Part], recipe: Recipe) -> int:
    ranks = [part.module.rank for part in parts]
    if recipe.method == "cat":
        return sum(ranks)
    if recipe.method == "svd":
        return recipe.rank or max(ranks)
    if len(set(ranks)) > 1:
        told = ", ".join(map(str, ranks))
        raise Unconvertible(f"its ranks are {told}; {recipe.method} adds equal ranks only, cat and svd any.", path)
    return ranks[0]


def _matrices(path: str, parts: Sequence[Part], recipe: Recipe, rank: int) -> tuple[Any, Any]:
    from dovetail.adapters.merge import arithmetic  # noqa: PLC0415 - it needs numpy, and to check a merge does not

    downs, ups = [[_array(getattr(part.module, side)) for part in parts] for side in SIDES]
    if recipe.method in ("cat", "svd"):
        factors = [part.weight * part.module.scale for part in parts]
        is_whole = recipe.method == "cat"
        return (
            arithmetic.stacked(downs, ups, factors) if is_whole else arithmetic.product_svd(downs, ups, factors, rank)
        )
    roots = [arithmetic.roots(part.weight, part.module.scale) for part in parts]
    combine = arithmetic.ties if recipe.method.endswith("ties") else arithmetic.linear
    results = [
        combine(_pruned(path, parts, tensors, recipe, side), [root[side] for root in roots])
        for side, tensors in enumerate((downs, ups))
    ]
    return results[0], results[1]


def _pruned(path: str, parts: Sequence[Part], tensors: Sequence[Any], recipe: Recipe, side: int) -> list[Any]:
    from dovetail.adapters.merge import arithmetic  # noqa: PLC0415 - see above

    if recipe.method == "ties":
        return [arithmetic.largest(tensor, recipe.density) for tensor in tensors]
    if recipe.method == "linear" or recipe.density == 1:
        return list(tensors)
    name = zlib.crc32(f"{path}.{SIDES[side]}".encode())
    return [
        arithmetic.rescaled(
            tensor, arithmetic.chosen((recipe.seed, name, part.number), tensor.shape, recipe.density), recipe.density
        )
        for part, tensor in zip(parts, tensors, strict=True)
    ]


class _Once:
    """Computes a module when its first matrix is written, and forgets it after the second."""

    def __init__(self, compute: Callable[[], tuple[Any, Any]]) -> None:
        self._compute = compute
        self._kept: tuple[Any, Any] | None = None

    def take(self, side: int) -> Any:
        if self._kept is None:
            self._kept = self._compute()
            return self._kept[side]
        kept, self._kept = self._kept, None
        return kept[side]


def _lazy(path: str, dtype: str, shape: tuple[int, ...], compute: _Once, side: int) -> Lazy:
    def blocks() -> Any:
        raw = compute.take(side).astype("<f4").tobytes()
        narrow = values.converted(raw, "F32", dtype)
        if raw and not narrow:
            raise Unconvertible(f"the sum has a value that {dtype} cannot hold.", path)
        yield narrow

    return Lazy(dtype, shape, blocks)


def _array(tensor: Lazy) -> Any:
    return values.widened(tensor.raw(), tensor.dtype).reshape(tensor.shape)
