"""The steps that clients and the hub are in at this moment, so that a fault can come in the middle of one."""

import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

NAMES = {
    "push": "a client prepares a push: creation, preupload, upload",
    "commit": "POST …/commit waits for its answer",
    "xet": "the Xet client uploads xorbs and a shard",
    "validation": "an adapter that was pushed has no verdict yet",
    "sweep": "garbage collection removes rows and objects",
    "cooling": "chunks of xorbs are deleted while Xet clients read",
    "alias": "an alias is moved",
}
FIRST_GUESS_SECONDS = 0.2


class Steps:
    """Counts the beginnings of steps, and remembers how long they take."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._begun: Counter[str] = Counter()
        self._took: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """Let the block be the step of that name."""
        began = self.begin(name)
        try:
            yield
        finally:
            self.end(name, began)

    def begin(self, name: str) -> float:
        """Note the beginning of a step; return its time, which `end` wants."""
        with self._changed:
            self._begun[name] += 1
            self._changed.notify_all()
        return time.monotonic()

    def end(self, name: str, began: float) -> None:
        self._took[name].append(time.monotonic() - began)

    def await_next(self, name: str, seconds: float) -> bool:
        """Wait for the next beginning of a step; return False if none comes in this time."""
        with self._changed:
            before = self._begun[name]
            return self._changed.wait_for(lambda: self._begun[name] > before, seconds)

    def typical_seconds(self, name: str) -> float:
        """Return the median duration of a step so far."""
        return statistics.median(self._took[name]) if self._took[name] else FIRST_GUESS_SECONDS
