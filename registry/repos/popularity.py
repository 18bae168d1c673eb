"""Counts on their way to rows: downloads wait in memory for seconds and are written in batches, never by a request.

Also what trends: each download and like weighs twice as much as one a week before. Weights grow from a fixed day on
instead of shrinking, so a row is right without ever being touched again, and the order can have an index.
"""

import atexit
import logging
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import F
from django.utils import timezone

from registry.models import Repository

logger = logging.getLogger(__name__)
FLUSH_SECONDS = 5
TOGETHER = 200  # adapters in one statement
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
HALF_LIFE_SECONDS = 7 * 24 * 3600  # a double holds the weights of nineteen years
LIKE = 3  # as much as so many downloads

_waiting: Counter[int] = Counter()
_lock = threading.Lock()
_writer: threading.Thread | None = None


def download_weight(at: datetime | None = None) -> float:
    """Return what one download at this time weighs."""
    age = ((at or timezone.now()) - EPOCH).total_seconds()
    return float(2 ** (age / HALF_LIFE_SECONDS))


def trending_score(repository: Repository) -> float:
    """Return how much an adapter trends: downloads of this moment that all it ever had are worth."""
    return round(repository.trending / download_weight(), 3)


def count_download(repository: int) -> None:
    """Count one download of the adapter with this primary key, within seconds."""
    global _writer
    with _lock:
        _waiting[repository] += 1
        if _writer is None or not _writer.is_alive():  # a fork copies the name of the thread and not the thread
            _writer = threading.Thread(target=_write_soon, name="counting", daemon=True)
            _writer.start()


def flush_counts() -> None:
    """Write what waits; what cannot be written waits on."""
    with _lock:
        counted = Counter(_waiting)
        _waiting.clear()
    alike: dict[int, list[int]] = {}  # how often → adapters: nearly all were downloaded once
    for repository, n in sorted(counted.items()):
        alike.setdefault(n, []).append(repository)
    for n, adapters in alike.items():
        for at in range(0, len(adapters), TOGETHER):
            _add(n, adapters[at : at + TOGETHER])


def _add(n: int, adapters: Sequence[int]) -> None:
    """Count so many downloads of each of these in one statement; a writer that another one stops tries again."""
    changed = {"downloads": F("downloads") + n, "trending": F("trending") + n * download_weight()}
    try:
        Repository.objects.filter(pk__in=adapters).update(**changed)
    except DatabaseError as problem:
        logger.warning("Counts of downloads wait: %s", problem)
        with _lock:
            _waiting.update(dict.fromkeys(adapters, n))


def _write_soon() -> None:
    global _writer
    while not _stopped.wait(FLUSH_SECONDS):
        flush_counts()
        connection.close()
        with _lock:
            if not _waiting:
                _writer = None  # who counts next starts another one: this one seems alive for a moment more
                return


_stopped = threading.Event()


@atexit.register
def _write_last() -> None:
    _stopped.set()
    if _waiting:
        flush_counts()
