"""Count downloads in memory and write them in batches every few seconds, never within a request.

The trending score is kept here too: each download and like weighs twice as much as one a week before. Weights grow
from a fixed day on instead of shrinking, so a stored score stays right, and the order can have an index.
"""

import atexit
import logging
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from registry.models import HourlyDownloads, Repository

logger = logging.getLogger(__name__)
FLUSH_SECONDS = 5
TOGETHER = 200  # repositories in one statement
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
HALF_LIFE_SECONDS = 7 * 24 * 3600  # a double holds the weights of nineteen years
KEPT_HOURS = timedelta(days=3)
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
    """Count one download of the repository with this primary key; its row shows it within seconds."""
    global _writer
    with _lock:
        _waiting[repository] += 1
        if _writer is None or not _writer.is_alive():  # a fork copies the name of the thread and not the thread
            _writer = threading.Thread(target=_write_soon, name="counting", daemon=True)
            _writer.start()


def flush_counts() -> None:
    """Write the waiting counts; counts that cannot be written keep waiting."""
    with _lock:
        counted = Counter(_waiting)
        _waiting.clear()
    by_count: dict[int, list[int]] = {}  # count → repositories: nearly all were downloaded once
    for repository, n in sorted(counted.items()):
        by_count.setdefault(n, []).append(repository)
    for n, repositories in by_count.items():
        for at in range(0, len(repositories), TOGETHER):
            _add(n, repositories[at : at + TOGETHER])


def _add(n: int, repositories: Sequence[int]) -> None:
    """Add n downloads to each of these in one statement; if the database refuses, the counts wait."""
    changed = {"downloads": F("downloads") + n, "trending": F("trending") + n * download_weight()}
    try:
        with transaction.atomic():  # counted in both places, or in neither
            Repository.objects.filter(pk__in=repositories).update(**changed)
            _add_to_hour(n, repositories)
    except DatabaseError as problem:
        logger.warning("Counts of downloads wait: %s", problem)
        with _lock:
            _waiting.update(dict.fromkeys(repositories, n))


def _add_to_hour(n: int, repositories: Sequence[int]) -> None:
    """Add n downloads of this hour to each of these, whose rows need not exist yet."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    known = set(Repository.objects.filter(pk__in=repositories).values_list("pk", flat=True))
    rows = HourlyDownloads.objects.filter(hour=hour, repository__in=known)
    missing = known - set(rows.values_list("repository", flat=True))
    new = [HourlyDownloads(repository_id=repository, hour=hour) for repository in missing]
    HourlyDownloads.objects.bulk_create(new, ignore_conflicts=True)
    rows.update(count=F("count") + n)


def forget_hours() -> int:
    """Delete the counts of hours that no page shows any more; return how many rows went."""
    return HourlyDownloads.objects.filter(hour__lt=timezone.now() - KEPT_HOURS).delete()[0]


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
