"""The search for pickles in every revision, of any repository: an adapter or none, a dataset, a space.

The row is the job, written with the revision; workers/pushed_files.py reads the files.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.module_loading import import_string

from registry.kernel import seams
from registry.models import PickleScan, Revision, RevisionFile
from registry.repos import pull
from registry.repos.manifest import Entry
from registry.sql.prepared import insert_rows

LEASE = timedelta(minutes=10)  # doubled with each attempt
MAX_DOUBLED = 8
CANDIDATES = 8  # rows examined for one claim: other workers may take the first ones meanwhile


def enqueue(*revisions: int) -> None:
    """Create the jobs for revisions (row ids) that are new or whole again, and notify a worker after the commit."""
    insert_rows([PickleScan(revision_id=pk) for pk in revisions], ignore_conflicts=True)
    notify: Callable[[], Any] = import_string(settings.SCAN_DOORBELL)
    transaction.on_commit(notify, robust=True)  # a broker that is down never fails a push


def claim() -> PickleScan | None:
    """Claim the revision that waited longest; a worker that dies gives it back when the lease ends."""
    now = timezone.now()
    waiting = PickleScan.objects.select_related("revision__repository__namespace", "revision__parent")
    for row in waiting.filter(free_at__lte=now).order_by("free_at")[:CANDIDATES]:
        claimable = PickleScan.objects.filter(pk=row.pk, free_at=row.free_at)
        lease = LEASE * (1 << min(row.attempts, MAX_DOUBLED))
        if claimable.update(free_at=now + lease, attempts=F("attempts") + 1):
            return row
    return None


def finish(row: PickleScan) -> None:
    """End the job, and let everybody have the files that waited for it."""
    with transaction.atomic():
        waiting = RevisionFile.objects.filter(revision=row.revision_id, is_unsearched=True)
        if waiting.update(is_unsearched=False):
            seams.change_pulls(Q(pk=row.revision.repository_id), less=False)
        PickleScan.objects.filter(pk=row.pk).delete()


def sweep() -> None:
    """Let everybody have files whose search was ended by a worker of the release before, which knows no marks."""
    RevisionFile.objects.filter(is_unsearched=True, revision__pickle_scan=None).update(is_unsearched=False)


def files_to_scan(revision: Revision) -> dict[str, Entry]:
    """Return the files of a revision that were not looked through with the one before it."""
    entries, parent = pull.entries(revision), revision.parent
    if parent is None or parent.is_quarantined or parent.is_expired:
        return entries
    if PickleScan.objects.filter(revision=parent).exists():
        return entries
    known = {(path, entry.sha256) for path, entry in pull.entries(parent).items()}
    return {path: entry for path, entry in entries.items() if (path, entry.sha256) not in known}
