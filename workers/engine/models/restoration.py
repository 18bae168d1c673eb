"""Restores a model's structure: undoes everything that a loader added, replaced or removed.

A library's own unload() leaves an adapter's head in place, and cannot run if loading raised half-way.
The values of tensors are not kept here; `frozen` compares them.

Whether a tensor has changed is told in host memory by every value, on a device by a digest computed there.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.utils.weak import WeakTensorKeyDictionary

OURS = ("torch.nn.", "transformers.", "adapters.", "peft.")  # objects of these packages are followed
Undo = Callable[[], None]


class Snapshot:
    """All objects reachable from `roots`: modules, their tables and hooks, configs, and the memory of each tensor."""

    def __init__(self, *roots: Any) -> None:
        self.roots = roots
        self._undo: list[Undo] = []
        visited: dict[int, Any] = {}  # holds the objects themselves, so that no id is reused
        waiting = list(roots)
        while waiting:
            thing = waiting.pop()
            if id(thing) not in visited and (record := _record(thing)):
                visited[id(thing)] = thing
                undo, children = record
                self._undo.append(undo)
                waiting.extend(children)

    def restore(self) -> None:
        """Restore every object."""
        for undo in self._undo:
            undo()


def _record(thing: Any) -> tuple[Undo, Iterator[Any]] | None:
    """Return a function that restores one object, and the objects in it; None for an object that cannot change."""
    if isinstance(thing, torch.Tensor):
        return _tensor(thing), iter(())
    if isinstance(thing, dict):
        return _table(thing, dict(thing)), iter(dict(thing).values())
    if isinstance(thing, list):
        return _list(thing, list(thing)), iter(list(thing))
    if isinstance(thing, set):
        return _set(thing, set(thing)), iter(())
    if isinstance(thing, tuple):
        return (lambda: None), iter(thing)
    if f"{type(thing).__module__}.".startswith(OURS) and hasattr(thing, "__dict__"):
        return _object(thing, type(thing), dict(vars(thing))), iter(dict(vars(thing)).values())
    return None


def _tensor(tensor: torch.Tensor) -> Undo:
    data, learns = tensor.data, tensor.requires_grad

    def undo() -> None:
        tensor.data = data
        tensor.grad = None
        tensor.requires_grad_(learns)

    return undo


def _table(table: dict[Any, Any], copy: dict[Any, Any]) -> Undo:
    def undo() -> None:
        table.clear()
        table.update(copy)

    return undo


def _list(items: list[Any], copy: list[Any]) -> Undo:
    def undo() -> None:
        items[:] = copy

    return undo


def _set(items: set[Any], copy: set[Any]) -> Undo:
    def undo() -> None:
        items.clear()
        items.update(copy)

    return undo


def _object(thing: Any, kind: type, attributes: Mapping[str, Any]) -> Undo:
    def undo() -> None:
        if type(thing) is not kind:  # a parametrised module has a class of its own
            thing.__class__ = kind
        vars(thing).clear()
        vars(thing).update(attributes)

    return undo


INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
PIECE = 1 << 24
MASK = (1 << 64) - 1
# Random, so that nobody can compute in advance changes that cancel each other out.
FACTORS = tuple(secrets.randbits(62) | 1 for _ in range(2))

_known = WeakTensorKeyDictionary()


def same(tensor: torch.Tensor, original: torch.Tensor) -> bool:
    """Return whether two tensors are equal bit for bit; an embedding that grew is compared in its first rows."""
    if tensor.dim() and tensor.shape[0] > original.shape[0]:
        tensor = tensor[: original.shape[0]]
    if tensor.dtype != original.dtype or tensor.shape != original.shape:
        return False
    if tensor.device == original.device:
        bits = INTEGERS[tensor.element_size()]  # as values, 0.0 would be -0.0, and no NaN itself
        return bool(torch.equal(tensor.view(bits), original.view(bits)))
    return bool(digest(tensor) == (_known.get(original) or digest(original)))


def remember(original: torch.Tensor, on_device: torch.Tensor) -> None:
    """Store the digest of a tensor in host memory, computed on its fresh copy on a device, where that is fast."""
    if on_device.device != original.device:
        _known[original] = digest(on_device)


def digest(tensor: torch.Tensor) -> int:
    """Return the sum of all values' bits modulo 2**64, each times an odd factor that depends on its position.

    One changed value always changes the sum; several do with a probability of about 1 - 2**-63.
    """
    if not tensor.numel():
        return 0
    bits = tensor.detach().contiguous().reshape(-1).view(INTEGERS[tensor.element_size()])
    total = 0
    for start in range(0, len(bits), PIECE):
        piece = bits[start : start + PIECE].to(torch.int64)
        place = torch.arange(start + 1, start + 1 + len(piece), dtype=torch.int64, device=piece.device)
        factor = place.mul_(FACTORS[0])
        factor = factor.bitwise_xor_(factor >> 29).mul_(FACTORS[1]).bitwise_or_(1)
        total += int(factor.mul_(piece).sum())
    return total & MASK
