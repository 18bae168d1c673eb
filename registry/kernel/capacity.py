"""Limits of one request in a web process: threads, counted together, and time in the database.

Streams, long polls and readers of other hubs have limits of their own kind beside that of `held_threads`. Large files
and requests with large bodies have this one alone: the client decides how long they take. The sum keeps the rest of
the threads for pages, small files and probes, also when all kinds come at once.

Requests that hold a thread because they have much to do are right and rare: uploads by a form, files taken back by
the thousand. As many as a process has threads would leave none for pages and pulls, so more than a few at once are
refused with Retry-After.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction

from registry.kernel.errors import HubBusy, SearchTooSlow

MOST_HELD = 48  # of a process that has 64 threads (deploy/gunicorn.conf.py)


class HeldThreads:
    """Counts them, without a lock: the garbage collector may give one back, in the middle of anything."""

    def __init__(self, most: int) -> None:
        self._free = deque([None] * most)

    def __len__(self) -> int:
        """Return how many may still be held."""
        return len(self._free)

    def take(self) -> bool:
        """Count one more, unless that is too many."""
        try:
            self._free.pop()
        except IndexError:
            return False
        return True

    def give_back(self) -> None:
        """Count one less."""
        self._free.append(None)


held_threads = HeldThreads(MOST_HELD)


MOST_LONG = 8  # of a process that has 64 threads, beside those that are held
WAIT_SECONDS = 2.0  # seconds for a place

_places = threading.BoundedSemaphore(MOST_LONG)


@contextmanager
def place() -> Iterator[None]:
    """Hold one of the places. Raises HubBusy if none gets free in time."""
    if not _places.acquire(timeout=WAIT_SECONDS):
        raise HubBusy("This hub is working on too many long requests at the moment.")
    try:
        yield
    finally:
        _places.release()


QUERY_SECONDS = 5
_CANCELED = "57014"  # PostgreSQL's code for a statement that was ended, by its timeout too


@contextmanager
def bounded(what: str) -> Iterator[None]:
    """Have PostgreSQL end each query in this block after SECONDS, and raise SearchTooSlow then.

    SQLite, which knows no such limit, is for hubs whose lists are short.
    """
    if connection.vendor != "postgresql":
        yield
        return
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {round(QUERY_SECONDS * 1000)}")
            yield
            if connection.savepoint_ids:  # inside another transaction, whose later queries have no such limit
                cursor.execute("SET LOCAL statement_timeout = DEFAULT")
    except OperationalError as problem:
        if getattr(problem.__cause__, "sqlstate", "") != _CANCELED:
            raise
        raise SearchTooSlow(f"This {what} takes longer than {QUERY_SECONDS} s.") from problem
