"""A bound around a store across the network: it may hang, and must not take the threads of everything else with it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.dispatch import Signal

from registry.kernel.errors import StoreUnavailable

FAILURES = 3  # in a row, after which the store counts as away
PAUSE_SECONDS = 5.0  # until one call may look whether it is back
PLACES = 48  # calls at once; a web process has 64 threads (deploy/gunicorn.conf.py)

called = Signal()  # sender: Breaker; seconds: float; outcome: "answered", "silent", or "refused" without a call


class Breaker:
    """Refuses calls at once while the store is away or too many wait for it; of one store in one process."""

    def __init__(self, unanswered: type[Exception] | tuple[type[Exception], ...], places: int = PLACES) -> None:
        """`unanswered` are the errors of a call to which nothing answered in time; any other one is an answer."""
        self._unanswered = unanswered
        self._places = threading.BoundedSemaphore(places)
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_until = 0.0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Let the block call the store. Raises StoreUnavailable at once while it is away or too many calls wait."""
        if not self._may_call():
            self._tell(0.0, "refused")
            raise StoreUnavailable("The file store does not respond.")
        if not self._places.acquire(blocking=False):
            self._tell(0.0, "refused")
            raise StoreUnavailable("Too many requests are waiting for the file store.")
        began, failed = time.monotonic(), 0
        try:
            yield
        except self._unanswered:
            failed = 1
            raise
        finally:
            self._count(failed)
            self._places.release()
            self._tell(time.monotonic() - began, "silent" if failed else "answered")

    def _tell(self, seconds: float, outcome: str) -> None:
        called.send(type(self), seconds=seconds, outcome=outcome)

    def _may_call(self) -> bool:
        with self._lock:
            if self._failures < FAILURES:
                return True
            if (now := time.monotonic()) < self._closed_until:
                return False
            self._closed_until = now + PAUSE_SECONDS  # this call looks, the others go on being refused
            return True

    def _count(self, failed: int) -> None:
        with self._lock:
            self._failures = (self._failures + 1) * failed
            if self._failures >= FAILURES:
                self._closed_until = time.monotonic() + PAUSE_SECONDS
