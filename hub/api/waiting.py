"""Long polls: a request may wait until something happened, for seconds and in few threads.

Each waiting request holds a thread of this process. So only MAX_WAITING of them wait at once; the others are answered
as if they had not asked to wait, and ask again. A wish to wait is therefore never refused and never a promise.
"""

import threading
import time
from collections.abc import Callable

from django.db import connection
from rest_framework import serializers as s

from hub.api.shapes import Data

MAX_SECONDS = 25  # proxies give up after 30
MAX_WAITING = 16  # requests of this process, which has 64 threads (deploy/gunicorn.conf.py)
POLL_SECONDS = 0.5
_slots = threading.BoundedSemaphore(MAX_WAITING)


class Wait(s.Serializer[Data]):
    wait = s.IntegerField(
        required=False, min_value=0, max_value=MAX_SECONDS, default=0,
        help_text="seconds to wait for news; a busy hub answers at once",
    )  # fmt: skip


def wait_until(has_happened: Callable[[], bool], seconds: int) -> None:
    """Return once it has happened, when the time is over, or at once if too many wait already."""
    if not seconds or has_happened() or not _slots.acquire(blocking=False):
        return
    try:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            _give_connection_back()
            time.sleep(min(POLL_SECONDS, left))
            if has_happened():
                return
    finally:
        _slots.release()


def _give_connection_back() -> None:
    """Let others use this thread's place in the pool while it sleeps; SQLite has no pool, and opening a file costs."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()
