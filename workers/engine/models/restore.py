"""Restores a model's structure: undoes everything that a loader added, replaced or removed.

A library's own unload() leaves an adapter's head in place, and cannot run if loading raised half-way.
The values of tensors are not kept here; `frozen` compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

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


def _object(thing: Any, kind: type, attributes: dict[str, Any]) -> Undo:
    def undo() -> None:
        if type(thing) is not kind:  # a parametrised module has a class of its own
            thing.__class__ = kind
        vars(thing).clear()
        vars(thing).update(attributes)

    return undo
