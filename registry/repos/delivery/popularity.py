"""Count downloads in memory, and add what was counted to a table every few seconds, never within a request.

registry/repos/delivery/download_counts.py folds these rows into days and into the columns that lists are sorted by.

The trending score is defined here too: each download and like weighs twice as much as one a week before. Weights grow
from a fixed day on instead of shrinking, so a stored score stays right, and the order can have an index.
"""

import atexit
import logging
import threading
from collections import Counter
from datetime import UTC, datetime

from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.utils import timezone

from registry.models import CountedDownloads, Repository

logger = logging.getLogger(__name__)
FLUSH_SECONDS = 15  # a process that is killed loses what it counted in them
TOGETHER = 1_000  # rows in one statement
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
HALF_LIFE_SECONDS = 7 * 24 * 3600  # a double holds the weights of nineteen years
LIKE = 3  # weight in downloads

_waiting: Counter[int] = Counter()
_lock = threading.Lock()
_writer: threading.Thread | None = None


def download_weight(at: datetime | None = None) -> float:
    """Return the weight of one download at this time."""
    age = ((at or timezone.now()) - EPOCH).total_seconds()
    return float(2 ** (age / HALF_LIFE_SECONDS))


def trending_score(repository: Repository) -> float:
    """Return how much a repository trends: its weight as a number of downloads at this moment."""
    return round(repository.trending / download_weight(), 3)


def count_download(repository: int) -> None:
    """Count one download of the repository with this primary key; its row shows it within minutes."""
    global _writer
    with _lock:
        _waiting[repository] += 1
        if _writer is None or not _writer.is_alive():  # a fork copies the name of the thread and not the thread
            _writer = threading.Thread(target=_write_soon, name="counting", daemon=True)
            _writer.start()


def flush_counts() -> None:
    """Add a row for each counted repository; counts that cannot be written keep waiting."""
    with _lock:
        counted = Counter(_waiting)
        _waiting.clear()
    rows = [CountedDownloads(repository=repository, count=count) for repository, count in counted.items()]
    try:
        with transaction.atomic():
            CountedDownloads.objects.bulk_create(rows, batch_size=TOGETHER)
    except DatabaseError as problem:
        logger.warning("Counts of downloads wait: %s", problem)
        with _lock:
            _waiting.update(counted)


def _write_soon() -> None:
    global _writer
    while not _stopped.wait(FLUSH_SECONDS):
        flush_counts()
        connection.close()
        with _lock:
            if not _waiting:
                _writer = None  # this thread stays alive for a moment, so the next count must not rely on it
                return


_stopped = threading.Event()


@atexit.register
def _write_last() -> None:
    _stopped.set()
    if _waiting:
        flush_counts()
