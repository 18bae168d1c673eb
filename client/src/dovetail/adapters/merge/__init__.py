"""Merges two or more LoRAs of one base into one, as PEFT's add_weighted_adapter does it.

Of each module it finds which sources have it, and what rank it gets; its two matrices are computed once they are asked
for. Heads, which are weights that were trained whole, are merged too.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dovetail.adapters.convert import Conversion, read
from dovetail.adapters.convert import peft as peft_format
from dovetail.adapters.convert.lora import Lazy, Lora, Module, Unconvertible, only, targets_of
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import values
from dovetail.adapters.files.config import Config
from dovetail.adapters.files.header import Opener
from dovetail.adapters.formats.bases import relation

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
                raise Unconvertible(f"its matrices are {tensor.dtype}, which cannot be added.", path)
    rank = _rank(path, parts, recipe)
    first = parts[0].module
    down = (rank, *first.down.shape[1:])
    up = (first.up.shape[0], rank, *first.up.shape[2:])
    if recipe.method == "svd" and len(down) != 2:
        raise Unconvertible("it is a convolution, which svd does not support here.", path)
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
    from dovetail.adapters.merge import arithmetic  # noqa: PLC0415  # it needs numpy, and to check a merge does not

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
    from dovetail.adapters.merge import arithmetic  # noqa: PLC0415  # see above

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
            raise Unconvertible(f"the sum has a value that {dtype} cannot represent.", path)
        yield narrow

    return Lazy(dtype, shape, blocks)


def _array(tensor: Lazy) -> Any:
    return values.widened(tensor.raw(), tensor.dtype).reshape(tensor.shape)


def merged_head(sources: Sequence[Source], loras: Sequence[Lora], chosen: int) -> tuple[Lora, Mapping[str, Lazy]]:
    """Return the head of the merge, and the adapter whose config names it. `chosen` is that of `Recipe.head`.

    Raises `Unconvertible` where several heads differ and nobody chose.
    """
    if chosen > 0:
        return loras[chosen - 1], loras[chosen - 1].head
    with_head = [(source, lora) for source, lora in zip(sources, loras, strict=True) if lora.head]
    if not with_head:
        return loras[0], {}
    first = with_head[0][1]
    if chosen == AVERAGE and len(with_head) > 1:
        _require_comparable(with_head)
        total = math.fsum(source.weight for source, _ in with_head)
        if not total:
            raise Unconvertible("The weights add up to 0, so the heads have no average.", option="head")
        shares = [source.weight / total for source, _ in with_head]
        return first, {name: _average(name, [lora.head[name] for _, lora in with_head], shares) for name in first.head}
    for source, lora in with_head[1:]:
        name = next((name for name in first.head.keys() | lora.head.keys() if _differs(name, first, lora)), "")
        if name:
            raise Unconvertible(
                f"{with_head[0][0].name} and {source.name} have heads of their own. Choose one of them "
                f"(--head {source.name}), or their average where their labels are the same (--head average).",
                name,
                option="head",
            )
    return first, first.head


def _differs(name: str, one: Lora, other: Lora) -> bool:
    left, right = one.head.get(name), other.head.get(name)
    is_alike = left is not None and right is not None and (left.dtype, left.shape) == (right.dtype, right.shape)
    return not is_alike or left is None or right is None or left.raw() != right.raw()


def _require_comparable(with_head: Sequence[tuple[Source, Lora]]) -> None:
    source, first = with_head[0]
    for other, lora in with_head[1:]:
        if source.labels and other.labels and list(source.labels) != list(other.labels):
            told = [", ".join(labels)[:80] for labels in (source.labels, other.labels)]
            reason = (
                f"{source.name} has the labels {told[0]}, and {other.name} {told[1]}: their heads cannot be averaged."
            )
            raise Unconvertible(reason, option="head")
        shapes = [{name: tensor.shape for name, tensor in one.head.items()} for one in (first, lora)]
        for name in shapes[0].keys() | shapes[1].keys():
            if shapes[0].get(name) != shapes[1].get(name):
                found = [shape.get(name, "none") for shape in shapes]
                raise Unconvertible(f"{source.name} has {found[0]}, and {other.name} {found[1]}.", name, option="head")


def _average(name: str, tensors: Sequence[Lazy], shares: Sequence[float]) -> Lazy:
    first = tensors[0]
    if any(tensor.dtype not in values.FLOATS for tensor in tensors):
        raise Unconvertible(f"it is {first.dtype}, which cannot be averaged.", name)

    def blocks() -> Iterator[bytes]:
        parts = [
            values.doubles(tensor.raw(), tensor.dtype) * share for tensor, share in zip(tensors, shares, strict=True)
        ]
        average = sum(parts).astype("<f4").tobytes()
        piece = values.converted(average, "F32", first.dtype)
        if average and not piece:
            raise Unconvertible(f"its average has values beyond {first.dtype}.", name)
        yield piece

    return Lazy(first.dtype, first.shape, blocks)


METHODS = ("linear", "cat", "svd", "ties", "dare_linear", "dare_ties")
PRUNING = ("ties", "dare_linear", "dare_ties")
MAX_SOURCES, MAX_RANK, MAX_WEIGHT = 16, 1024, 1000.0


def head_of(text: str, names: Sequence[str]) -> int:
    """Return `Recipe.head` for "", "average", or an adapter's name or number. Raises `Unconvertible`."""
    if text in ("", "average"):
        return AVERAGE if text else 0
    if text.isdecimal() and 0 < int(text) <= len(names):
        return int(text)
    if text not in names:
        reason = f"The head is that of one of the adapters ({', '.join(names)}), or their average, not {text[:80]!r}."
        raise Unconvertible(reason, option="head")
    return names.index(text) + 1


@dataclass(frozen=True)
class Source:
    """One adapter to merge, the words that name it in refusals, and the names of its labels where they are known."""

    name: str
    files: Mapping[str, Opener]
    weight: float = 1.0
    labels: Sequence[str] = ()


def merge(sources: Sequence[Source], recipe: Recipe) -> Conversion:
    """Return the files of the merged adapter. Raises `Unconvertible` with the reason and the module's name."""
    check(sources, recipe)
    loras = [_read(source) for source in sources]
    for source, lora in zip(sources[1:], loras[1:], strict=True):
        _require_alike(sources[0], loras[0], source, lora)
    weights = [source.weight for source in sources]
    paths = sorted({path for lora in loras for path in lora.modules})
    modules = {path: merged(path, [lora.modules.get(path) for lora in loras], weights, recipe) for path in paths}
    with_head, head = merged_head(sources, loras, recipe.head)
    config = {**_config(loras, modules), "modules_to_save": with_head.config.get("modules_to_save")}
    lora = Lora(config, modules, head=head)
    return Conversion("merge", peft_format.write(lora))


def check(sources: Sequence[Source], recipe: Recipe) -> None:
    """Raise Unconvertible for a method or number that cannot be."""
    if recipe.method not in METHODS:
        raise Unconvertible(f"There is no method {recipe.method!r}; there are {', '.join(METHODS)}.", option="method")
    if not 2 <= len(sources) <= MAX_SOURCES:
        raise Unconvertible(f"A merge takes 2 to {MAX_SOURCES} adapters, not {len(sources)}.", option="others")
    for source in sources:
        check_weight(source.name, source.weight)
    if not 0 < recipe.density <= 1:
        raise Unconvertible("The density is the share of values to keep: more than 0, at most 1.", option="density")
    if recipe.density != 1 and recipe.method not in PRUNING:
        raise Unconvertible(f"{recipe.method} drops no values, so it takes no density.", option="density")
    if not AVERAGE <= recipe.head <= len(sources):
        raise Unconvertible("The head is that of one of the adapters, or their average.", option="head")
    if recipe.rank and recipe.method != "svd":
        raise Unconvertible("Only svd takes a rank; the other methods have one of their own.", option="rank")
    if not 0 <= recipe.rank <= MAX_RANK:
        raise Unconvertible(f"A rank is 1 to {MAX_RANK:,}.", option="rank")


def check_weight(name: str, weight: float) -> None:
    """Raise Unconvertible for a weight that cannot be; `name` is that of the source."""
    if not math.isfinite(weight) or not 0 < abs(weight) <= MAX_WEIGHT:
        reason = f"The weight of {name} must be a number other than 0, at most {MAX_WEIGHT:g}."
        raise Unconvertible(reason, option="weight")


def _read(source: Source) -> Lora:
    try:
        family, loras = read(source.files)
        lora = only(loras, "a merge")
    except Unconvertible as refusal:
        raise Unconvertible(f"{source.name}: {refusal}") from refusal
    if family != "peft":
        raise Unconvertible(f"{source.name} is in the format {family}; convert it to peft first.")
    if lora.is_dora:
        raise Unconvertible(f"{source.name} is a DoRA, whose magnitudes cannot be added.")
    return lora


def _require_alike(first: Source, lora: Lora, source: Source, other: Lora) -> None:
    names = [configs.text(one.config, "base_model_name_or_path") or "" for one in (lora, other)]
    if not all(names) or relation(*names) not in ("same", "alias"):
        told = [name or "no base" for name in names]
        raise Unconvertible(
            f"{first.name} belongs to {told[0]}, and {source.name} to {told[1]}: adapters of different bases "
            "cannot be added."
        )
    for key in ("task_type", "fan_in_fan_out"):
        if (lora.config.get(key) or None) != (other.config.get(key) or None):
            raise Unconvertible(f"{first.name} and {source.name} have different {key} in their configs.")
    for path in lora.modules.keys() & other.modules.keys():
        one, two = lora.modules[path], other.modules[path]
        if one.down.shape[1:] != two.down.shape[1:] or one.up.shape[0] != two.up.shape[0]:
            raise Unconvertible(f"{first.name} and {source.name} adapt it in different shapes.", path)


def _config(loras: Sequence[Lora], modules: Mapping[str, Module]) -> Config:
    """Return the first config with the ranks of the merge; the scale of each module is 1."""
    ranks = {path: module.rank for path, module in modules.items()}
    rank = max(ranks.values(), key=lambda rank: (list(ranks.values()).count(rank), -rank))
    others = {path: number for path, number in ranks.items() if number != rank}
    dropped = ("layers_to_transform", "layers_pattern", "exclude_modules")
    return {
        **{key: value for key, value in loras[0].config.items() if key not in dropped},
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": others,
        "alpha_pattern": others,
        "use_rslora": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "target_modules": _targets(loras, modules),
    }


def _targets(loras: Sequence[Lora], modules: Mapping[str, Module]) -> object:
    """Return what all configs select if it is the same, else exactly these modules."""
    selections = [
        {key: lora.config.get(key) for key in ("target_modules", "layers_to_transform", "exclude_modules")}
        for lora in loras
    ]
    is_same = all(selection == selections[0] for selection in selections[1:])
    return selections[0]["target_modules"] if is_same and _is_whole(selections[0]) else targets_of(modules)


def _is_whole(selection: Mapping[str, Any]) -> bool:
    return not selection["layers_to_transform"] and not selection["exclude_modules"]


__all__ = ["METHODS", "Recipe", "Source", "Unconvertible", "check", "head_of", "merge"]
