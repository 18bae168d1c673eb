"""The search for pickles in every revision, of any repository: an adapter or none, a dataset, a space.

The row is the job, written with the revision; workers/pushed_files.py reads the files. Authors take turns
(registry/bytes/search_turns.py), and who has used up the day waits for the next one.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Min, Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from dovetail.adapters.files.pickles import looks_pickled
from registry.bytes import search_turns
from registry.kernel import seams
from registry.models import PickleScan, Revision, RevisionFile, SearchAccount
from registry.repos import pull
from registry.repos.manifest import Entry
from registry.sql.prepared import insert_rows

LEASE = timedelta(minutes=10)  # doubled with each attempt
MAX_DOUBLED = 8


def enqueue(*revisions: int) -> None:
    """Create the jobs for revisions (row ids) that are new or whole again, and notify a worker after the commit."""
    insert_rows([PickleScan(revision_id=pk) for pk in revisions], ignore_conflicts=True)
    transaction.on_commit(import_string(settings.SCAN_DOORBELL), robust=True)  # a broker that is down fails no push


def claim() -> PickleScan | None:
    """Claim the next revision, and its author's turn; a worker that dies gives both back when the lease ends."""
    waiting = _within_the_day(timezone.now()).select_related("revision__repository__namespace", "revision__parent")
    return search_turns.claim(waiting, "revision__author", lambda row: LEASE * (1 << min(row.attempts, MAX_DOUBLED)))


def _within_the_day(now: datetime) -> QuerySet[PickleScan]:
    """Return the rows whose author has processor time left today."""
    most = 1000 * settings.SEARCH_SECONDS_A_DAY
    return PickleScan.objects.filter(
        ~Exists(search_turns.accounts("revision__author").filter(day=now.date(), milliseconds__gte=most))
    )


def give_back(row: PickleScan, seconds: float = 0.0) -> None:
    """End the turn of an author whose search took some processor time; the row waits until its lease ends."""
    search_turns.give_back(row.revision.author_id or 0, seconds)


def finish(row: PickleScan, seconds: float = 0.0) -> None:
    """End the job, and let everybody have the files that waited for it."""
    with transaction.atomic():
        waiting = RevisionFile.objects.filter(revision=row.revision_id, is_unsearched=True)
        if waiting.update(is_unsearched=False):
            seams.change_pulls(Q(pk=row.revision.repository_id), less=False)
        PickleScan.objects.filter(pk=row.pk).delete()
    give_back(row, seconds)


def sweep() -> None:
    """Forget the accounts of other days, and let everybody have files whose search an older worker ended.

    Workers of the release before know no marks.
    """
    now = timezone.now()
    SearchAccount.objects.filter(day__lt=now.date(), busy_until__lt=now).delete()
    RevisionFile.objects.filter(is_unsearched=True, revision__pickle_scan=None).update(is_unsearched=False)


def waiting_since() -> datetime | None:
    """Return since when the oldest revision waits that is not kept for another day; None if none does."""
    oldest: datetime | None = _within_the_day(timezone.now()).aggregate(since=Min("queued_at"))["since"]
    return oldest


def files_to_scan(revision: Revision) -> dict[str, Entry]:
    """Return the files of a revision that were not looked through with the one before it, pickles by name first."""
    entries = pull.entries(revision)
    known = {(path, entry.sha256) for path, entry in _searched_entries(revision.parent).items()}
    new = {path: entry for path, entry in entries.items() if (path, entry.sha256) not in known}
    first = sorted(new, key=lambda path: (not looks_pickled(path), not new[path].is_unsearched))
    return {path: new[path] for path in first}


def _searched_entries(parent: Revision | None) -> dict[str, Entry]:
    if parent is None or parent.is_quarantined or parent.is_expired:
        return {}
    return {} if PickleScan.objects.filter(revision=parent).exists() else pull.entries(parent)
