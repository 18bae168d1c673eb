"""Counts downloads in memory, adds them to a table every few seconds, and folds its rows into days and sorted columns.

Nothing is written within a request. A repository has a wide row with many indexes, so it is written once for all
downloads since the last fold, however many web processes counted them. All is addition: code of the release before adds
to the same columns by itself.

The trending score is defined here too: each download and like weighs twice as much as one a week before. Weights grow
from a fixed day on instead of shrinking, so a stored score stays right, and the order can have an index.
"""

import atexit
import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.utils import timezone

from registry.kernel import seams
from registry.models import CountedDownloads, DailyDownloads, Repository

logger = logging.getLogger(__name__)
FLUSH_SECONDS = 15  # a process that is killed loses what it counted in them
TOGETHER = 1_000  # rows in one statement
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
HALF_LIFE_SECONDS = 7 * 24 * 3600  # a double holds the weights of nineteen years
LIKE = 3  # weight in downloads

_waiting: Counter[tuple[int, str]] = Counter()
_lock = threading.Lock()
_writer: threading.Thread | None = None


def download_weight(at: datetime | None = None) -> float:
    """Return the weight of one download at this time."""
    age = ((at or timezone.now()) - EPOCH).total_seconds()
    return float(2 ** (age / HALF_LIFE_SECONDS))


def trending_score(repository: Repository) -> float:
    """Return how much a repository trends: its weight as a number of downloads at this moment."""
    return round(repository.trending / download_weight(), 3)


def count_download(repository: int, oid: str = "") -> None:
    """Count one download of the repository with this primary key, and of the version; rows show it within minutes."""
    global _writer
    with _lock:
        _waiting[repository, oid] += 1
        if _writer is None or not _writer.is_alive():  # a fork copies the name of the thread and not the thread
            _writer = threading.Thread(target=_write_soon, name="counting", daemon=True)
            _writer.start()


def flush_counts() -> None:
    """Add a row for each counted repository; counts that cannot be written keep waiting."""
    with _lock:
        counted = Counter(_waiting)
        _waiting.clear()
    rows = [CountedDownloads(repository=pk, oid=oid, count=count) for (pk, oid), count in counted.items()]
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


AT_ONCE = 20_000  # counted rows of one transaction
TRANSACTIONS = 5  # of one run; what waits longer is for the next
FOLDED_TOGETHER = 500  # repositories in one statement
DAYS_KEPT = 366
LONGEST_DAYS = 365  # that anybody may ask for
DAY = timedelta(days=1)

# The columns of a list of values are column1, column2 … on both databases.
ADD_TO_DAYS = """
INSERT INTO registry_dailydownloads (repository_id, day, count) VALUES {values}
ON CONFLICT (repository_id, day) DO UPDATE SET count = registry_dailydownloads.count + excluded.count
"""
ADD_TO_REPOSITORIES = """
UPDATE registry_repository SET downloads = downloads + added.column2, trending = trending + added.column3
FROM (VALUES {values}) AS added WHERE registry_repository.id = added.column1
"""
ADD_TO_VERSIONS = """
UPDATE registry_revision SET downloads = downloads + added.column3
FROM (VALUES {values}) AS added WHERE registry_revision.repository_id = added.column1 AND oid = added.column2
"""


def fold() -> int:
    """Fold what was counted, at most TRANSACTIONS × AT_ONCE rows; return how many rows were folded."""
    folded = 0
    for _ in range(TRANSACTIONS):
        rows = _fold_some()
        folded += rows
        if rows < AT_ONCE:
            break
    return folded


def _fold_some() -> int:
    """Fold the oldest rows in one transaction. Of two workers each takes other rows."""
    with transaction.atomic():
        rows = list(CountedDownloads.objects.select_for_update(skip_locked=True).order_by("pk")[:AT_ONCE])
        counted = {row.repository for row in rows}
        for some in _in_parts(sorted(counted)):
            # In the order of their keys, so that two workers wait for each other and never lock.
            there = Repository.with_binned.select_for_update(no_key=True).filter(pk__in=some).order_by("pk")
            known = set(there.values_list("pk", flat=True))
            _add([row for row in rows if row.repository in known])
            _fold_old_days(known)
        CountedDownloads.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _add(rows: Sequence[CountedDownloads]) -> None:
    days: Counter[tuple[int, date]] = Counter()
    downloads: Counter[int] = Counter()
    versions: Counter[tuple[int, str]] = Counter()
    versions_by_day: Counter[tuple[int, str, date]] = Counter()
    weights: defaultdict[int, float] = defaultdict(float)
    for row in rows:
        days[row.repository, row.at.date()] += row.count
        downloads[row.repository] += row.count
        versions[row.repository, row.oid] += row.count
        versions_by_day[row.repository, row.oid, row.at.date()] += row.count
        weights[row.repository] += row.count * download_weight(row.at)
    _add_to_days(days)
    execute_values(ADD_TO_REPOSITORIES, [(pk, count, weights[pk]) for pk, count in sorted(downloads.items())])
    execute_values(ADD_TO_VERSIONS, [(pk, oid, count) for (pk, oid), count in sorted(versions.items()) if oid])
    for feature in seams.joined():
        feature.downloaded(versions_by_day)


def _add_to_days(days: Counter[tuple[int, date]]) -> None:
    execute_values(ADD_TO_DAYS, [(pk, day.isoformat(), count) for (pk, day), count in sorted(days.items())])


def _fold_old_days(repositories: Iterable[int]) -> None:
    """Add days that nobody may ask for any more to the first of their month: a repository has 12 such rows a year."""
    old = DailyDownloads.objects.filter(repository__in=repositories, day__lt=_today() - timedelta(days=DAYS_KEPT))
    months: Counter[tuple[int, date]] = Counter()
    for pk, day, count in old.exclude(day__day=1).values_list("repository_id", "day", "count"):
        months[pk, day.replace(day=1)] += count
    if months:
        old.exclude(day__day=1).delete()
        _add_to_days(months)


def by_day(repository: Repository, days: int) -> list[tuple[date, int]]:
    """Return the downloads of the last days, the oldest first and today last; days without any are there with 0."""
    return of_days([repository.pk], days)[repository.pk]


def of_days(repositories: Sequence[int], days: int) -> dict[int, list[tuple[date, int]]]:
    """Return the same of several repositories by one query, for lists; at most LONGEST_DAYS days."""
    first = _today() - (min(days, LONGEST_DAYS) - 1) * DAY
    rows = DailyDownloads.objects.filter(repository__in=repositories, day__gte=first)
    counts = {(pk, day): count for pk, day, count in rows.values_list("repository_id", "day", "count")}
    calendar = [first + number * DAY for number in range((_today() - first).days + 1)]
    return {pk: [(day, counts.get((pk, day), 0)) for day in calendar] for pk in repositories}


def of_last_day(repositories: Sequence[int]) -> dict[int, int]:
    """Return by repository the downloads of the last 24 hours: of today, and yesterday's share of them."""
    now, today = timezone.now(), _today()
    share = 1 - (now.hour + now.minute / 60) / 24
    rows = DailyDownloads.objects.filter(repository__in=repositories, day__gte=today - DAY)
    sums: defaultdict[int, float] = defaultdict(float)
    for pk, day, count in rows.values_list("repository_id", "day", "count"):
        sums[pk] += count if day == today else count * share
    return {pk: round(sum) for pk, sum in sums.items()}


def _today() -> date:
    return timezone.now().date()


def _in_parts(keys: Sequence[int]) -> list[Sequence[int]]:
    return [keys[at : at + FOLDED_TOGETHER] for at in range(0, len(keys), FOLDED_TOGETHER)]


def execute_values(statement: str, rows: Sequence[tuple[int | float | str, ...]]) -> None:
    """Run a statement with a list of values, TOGETHER at once."""
    with connection.cursor() as cursor:
        for at in range(0, len(rows), FOLDED_TOGETHER):
            some = rows[at : at + FOLDED_TOGETHER]
            values = ", ".join(f"({', '.join(['%s'] * len(row))})" for row in some)
            cursor.execute(statement.format(values=values), [value for row in some for value in row])
