"""Keeps engines warm as long as there is memory: the one that was used longest ago makes room for another base."""

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workers.sandbox import Engine

Label = tuple[str, str]  # the engine's name and the id of its base in lower case, "" without one
RUNTIME_BYTES = 512 << 20  # of an engine beside its base, before one was measured: libraries, and what is kept of a run


@dataclass
class Warm:
    """An engine that lives, and the arguments that it was started with."""

    arguments: tuple[str, ...]
    engine: Engine


class Engines:
    """The warm engines of this process, the least recently used one stopped where memory runs short."""

    def __init__(self, budget: int) -> None:
        """`budget` is in bytes; an engine that is needed starts in any case."""
        self.budget = budget
        self._warm: OrderedDict[Label, Warm] = OrderedDict()
        self._sizes: dict[Label, int] = {}  # as they were measured last, also of engines that have ended

    def get(
        self, label: Label, arguments: tuple[str, ...], *, size: int = 0, before: Callable[[], object] = lambda: None
    ) -> Engine:
        """Return the living engine of this label, else start one with these arguments; it may not be ready yet.

        `size` is that of the base in bytes. `before` is called before a start, and only then.
        """
        held = self._warm.pop(label, None)
        if held is not None and (held.arguments != arguments or not held.engine.is_alive):  # its base is another one
            held.engine.stop()
            held = None
        if held is None:
            before()
            self._make_room(self._sizes.get(label, size + RUNTIME_BYTES))
            held = Warm(arguments, Engine.serve(*arguments))
        self._warm[label] = held
        return held.engine

    @property
    def labels(self) -> list[Label]:
        """Those that live, the one used last first."""
        return [label for label, held in reversed(self._warm.items()) if held.engine.is_alive]

    @property
    def ready(self) -> list[Label]:
        """Those that would answer at once."""
        return [label for label in self.labels if self._warm[label].engine.is_ready]

    def start_seconds(self) -> float:
        """Return what the start of the one used last took; 0 where it never came to that."""
        return self._warm[self.labels[0]].engine.start_seconds if self.labels else 0.0

    def stop(self) -> None:
        """Stop them all."""
        while self._warm:
            self._warm.popitem()[1].engine.stop()

    def _make_room(self, wanted: int) -> None:
        for label, held in self._warm.items():
            self._sizes[label] = memory(held.engine.pid) or self._sizes.get(label, 0)
        while self._warm and wanted + sum(map(self._sizes.__getitem__, self._warm)) > self.budget:
            self._warm.popitem(last=False)[1].engine.stop()


def memory(process: int) -> int:
    """Return the bytes that a process takes, shared pages counted by share (PSS); 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0
