"""Keeps engines warm as long as there is memory; the least recently used one makes room for another base."""

import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from registry.kernel.errors import ShelfProblem
from registry.models import Base, Verdict
from registry.repos import bases
from workers import base_folders
from workers.engines import capabilities
from workers.engines.sandbox import Engine, EngineFault

logger = logging.getLogger(__name__)

Label = tuple[str, str]  # the engine's name, and the id of its base in lower case, "" without one
FAILED_SECONDS = 600.0  # for which an engine that died at its start is left alone
RUNTIME_BYTES = 512 << 20  # libraries and caches of an engine beside its base, until its memory is measured


@dataclass
class Warm:
    """A living engine, and the arguments that it was started with."""

    arguments: tuple[str, ...]
    engine: Engine

    @property
    def is_usable(self) -> bool:
        """True if it lives, and will for long enough to take a job."""
        return self.engine.is_alive and not self.engine.is_leaving


class Engines:
    """The warm engines of this process. Where memory runs short, the least recently used one is stopped."""

    def __init__(self, budget: int) -> None:
        """`budget` is in bytes; an engine that is needed starts in any case."""
        self.budget = budget
        self._warm: OrderedDict[Label, Warm] = OrderedDict()
        self._sizes: dict[Label, int] = {}  # as last measured, also of engines that have ended
        self._failed: dict[Label, float] = {}  # until when an engine that died at its start is not waited for

    def get(
        self, label: Label, arguments: tuple[str, ...], *, size: int = 0, before: Callable[[], object] = lambda: None
    ) -> Engine:
        """Return the living engine of this label, else start one with these arguments; it may not be ready yet.

        `size` is the size of the base in bytes. `before` is called only before a start.
        """
        warm = self._warm.pop(label, None)
        if warm is not None and (warm.arguments != arguments or not warm.is_usable):  # its base has changed
            if warm.engine.has_failed:
                self._failed[label] = time.monotonic() + FAILED_SECONDS
            warm.engine.stop()
            warm = None
        if warm is None:
            before()
            warm = Warm(arguments, Engine.serve(*arguments))
            self._make_room(self._sizes.get(label, (size + RUNTIME_BYTES) // warm.engine.sharers))
        self._warm[label] = warm
        return warm.engine

    @property
    def labels(self) -> list[Label]:
        """The living engines, the most recently used one first."""
        return [label for label, warm in reversed(self._warm.items()) if warm.is_usable]

    @property
    def ready(self) -> list[Label]:
        """The engines that would take a job at once."""
        return [label for label in self.labels if self._warm[label].engine.is_ready]

    @property
    def failed(self) -> list[Label]:
        """The engines that died at their start a while ago: what waits for them is left until the others are done."""
        now = time.monotonic()
        return [label for label, until in self._failed.items() if until > now]

    def start_seconds(self) -> float:
        """Return the start-up time of the most recently used engine in seconds, or 0 if it never started."""
        return next((self._warm[label].engine.start_seconds for label in self.labels), 0.0)

    def stop(self) -> None:
        """Stop all engines."""
        while self._warm:
            self._warm.popitem()[1].engine.stop()

    def _make_room(self, needed: int) -> None:
        for label, warm in self._warm.items():
            self._sizes[label] = share(warm.engine) or self._sizes.get(label, 0)
        while self._warm and needed + sum(map(self._sizes.__getitem__, self._warm)) > self.budget:
            self._warm.popitem(last=False)[1].engine.stop()


ENGINES = Engines(settings.WARM_MEMORY // settings.WORKER_CONCURRENCY)


def engine_for(base: Base | None, name: str) -> Engine:
    """Return a warm engine with the base, or with none; every byte of the base is hashed before an engine starts.

    Raises EngineMissing and ShelfProblem.
    """
    python = str(capabilities.interpreter(name))
    if base is None or not base.has_weights:
        return ENGINES.get((name, ""), (python, "", ""))
    arguments = (python, str(base_folders.path(base)), base.id)
    return ENGINES.get((name, base.id.lower()), arguments, size=base.size, before=lambda: base_folders.verify(base))


def warm(engine: str = "", base_id: str = "") -> None:
    """Start this engine with this base without waiting for it; by default, with the base of the newest verdict."""
    last = base_id or Verdict.objects.exclude(base="").order_by("-id").values_list("base", flat=True).first()
    base = (bases.find_base(last) if last else None) or Base.objects.order_by("-added_at").first()
    if base is None or not base.has_weights:
        return
    try:
        engine_for(base, engine or capabilities.built()[0])
    except (EngineFault, ShelfProblem) as problem:  # the first job will fail with it, where it matters
        logger.warning("No engine could be warmed: %s", problem)


def share(engine: Engine) -> int:
    """Return the memory of an engine in bytes with its share of its parent's, so that all together count that once."""
    parent, own = engine.parent, memory(engine.pid)
    if parent == engine.pid:  # it still starts
        return own // engine.sharers
    with contextlib.suppress(OSError):
        sessions = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        own += memory(parent) // max(1, len(sessions))
    return own


def memory(process: int) -> int:
    """Return the memory of a process in bytes, shared pages counted by share (PSS); 0 if it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0
