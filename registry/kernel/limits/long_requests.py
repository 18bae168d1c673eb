"""The threads of a web process that requests hold for long because they have much to do, counted together.

Such requests are right and rare: uploads by a form, files taken back by the thousand. As many as a process has threads
would leave none for pages and pulls, so more than a few at once are refused with Retry-After.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from registry.kernel.errors import HubBusy

MOST = 8  # of a process that has 64 threads, beside those in held_threads.py
WAIT = 2.0  # seconds for a place

_places = threading.BoundedSemaphore(MOST)


@contextmanager
def place() -> Iterator[None]:
    """Hold one of the places. Raises HubBusy if none gets free in time."""
    if not _places.acquire(timeout=WAIT):
        raise HubBusy("This hub works on as many long requests as it can at once.")
    try:
        yield
    finally:
        _places.release()
