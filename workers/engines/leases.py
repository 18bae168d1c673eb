"""Keeps the lease of a claimed job while it runs."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from registry.kernel.errors import ClaimStale

logger = logging.getLogger(__name__)


@contextmanager
def kept(prolong: Callable[[], None]) -> Iterator[None]:
    """Call `prolong` from a thread, once each heartbeat, while the block runs."""
    ended = threading.Event()
    thread = threading.Thread(target=copy_context().run, args=(_keep, prolong, ended), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _keep(prolong: Callable[[], None], ended: threading.Event) -> None:
    while not ended.wait(settings.HEARTBEAT_SECONDS):
        try:
            prolong()
        except ClaimStale:  # the job runs to its end, and its result is refused there
            return
        except DatabaseError as problem:  # the lease outlives several heartbeats
            logger.warning("A lease was not prolonged: %s", problem)
        finally:
            connection.close()
