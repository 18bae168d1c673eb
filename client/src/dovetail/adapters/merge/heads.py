"""Merges the heads of adapters: weights that were trained whole, such as a classifier."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from dovetail.adapters.convert.lora import Lazy, Lora, Unconvertible
from dovetail.adapters.files import values
from dovetail.adapters.merge.modules import AVERAGE

if TYPE_CHECKING:
    from dovetail.adapters.merge import Source


def merged(sources: Sequence[Source], loras: Sequence[Lora], chosen: int) -> tuple[Lora, Mapping[str, Lazy]]:
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
            reason = f"{source.name} has the labels {told[0]}, and {other.name} {told[1]}: their heads have no average."
            raise Unconvertible(reason, option="head")
        shapes = [{name: tensor.shape for name, tensor in one.head.items()} for one in (first, lora)]
        for name in shapes[0].keys() | shapes[1].keys():
            if shapes[0].get(name) != shapes[1].get(name):
                found = [shape.get(name, "none") for shape in shapes]
                raise Unconvertible(f"{source.name} has {found[0]}, and {other.name} {found[1]}.", name, option="head")


def _average(name: str, tensors: Sequence[Lazy], shares: Sequence[float]) -> Lazy:
    first = tensors[0]
    if any(tensor.dtype not in values.FLOATS for tensor in tensors):
        raise Unconvertible(f"it is {first.dtype}, which has no average.", name)

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
