"""Puts a model's structure back: whatever a loader hung into it, replaced in it or took from it is undone.

A library's own unload() leaves an adapter's head in place, and does not run at all where loading raised half way.
The values of tensors are not kept here: whether those are what they were, `frozen` knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

OURS = ("torch.nn.", "transformers.", "adapters.", "peft.")  # whose objects are looked into
Undo = Callable[[], None]


class Snapshot:
    """All that is reachable from `roots`: modules, their tables and hooks, configs, and which memory a tensor is."""

    def __init__(self, *roots: Any) -> None:
        self.roots = roots
        self._undo: list[Undo] = []
        seen: dict[int, Any] = {}  # with the objects themselves, so that no id is given out twice
        waiting = list(roots)
        while waiting:
            thing = waiting.pop()
            if id(thing) not in seen and (taken := _take_down(thing)):
                seen[id(thing)] = thing
                undo, within = taken
                self._undo.append(undo)
                waiting.extend(within)

    def restore(self) -> None:
        """Make everything what it was."""
        for undo in self._undo:
            undo()


def _take_down(thing: Any) -> tuple[Undo, Iterator[Any]] | None:
    """How to make one object again what it is now, and what is in it; None for what cannot change."""
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


def _table(table: dict[Any, Any], kept: dict[Any, Any]) -> Undo:
    def undo() -> None:
        table.clear()
        table.update(kept)

    return undo


def _list(found: list[Any], kept: list[Any]) -> Undo:
    def undo() -> None:
        found[:] = kept

    return undo


def _set(found: set[Any], kept: set[Any]) -> Undo:
    def undo() -> None:
        found.clear()
        found.update(kept)

    return undo


def _object(thing: Any, kind: type, kept: dict[str, Any]) -> Undo:
    def undo() -> None:
        if type(thing) is not kind:  # a parametrised module has a class of its own
            thing.__class__ = kind
        vars(thing).clear()
        vars(thing).update(kept)

    return undo
