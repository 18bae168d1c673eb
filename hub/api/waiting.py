"""Long polls: a request may wait until something happened, for seconds and in few threads.

Each waiting request holds a thread of this process. So only few of them wait at once; the others are answered as if
they had not asked to wait, and ask again. A wish to wait is therefore never refused and never a promise.
"""

import time
from collections.abc import Callable

from django.db import connection
from rest_framework import serializers as s
from rest_framework.request import Request

from hub.api.pages import Data
from hub.api.places import NoPlace, Places
from hub.server.worker import is_stopping

MAX_SECONDS = 25  # proxies give up after 30
POLL_SECONDS = 0.5
places = Places(16, of_caller=8, of_network=12)  # of a process that has 64 threads (deploy/gunicorn.conf.py)


class Wait(s.Serializer[Data]):
    wait = s.IntegerField(
        required=False, min_value=0, max_value=MAX_SECONDS, default=0,
        help_text="seconds to wait for news; a busy hub answers at once",
    )  # fmt: skip


def wait_until(has_happened: Callable[[], bool], seconds: int, request: Request) -> None:
    """Return once it has happened, when the time is over, or at once if too many wait already."""
    if not seconds or has_happened():
        return
    try:
        give_back = places.take(request)
    except NoPlace:
        return
    try:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not is_stopping():
            release_connection()
            time.sleep(min(POLL_SECONDS, left))
            if has_happened():
                return
    finally:
        give_back()


def release_connection() -> None:
    """Let others use this thread's place in the pool while it sleeps; SQLite has no pool, and opening a file costs."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()
