"""Large files that came whole, by LFS, and wait to be cut into chunks, so that they can be read by Xet as well.

The row is the job, written by the commit that names the file. Nobody waits for it, so nobody rings either: workers look
every half minute. workers/chunking.py cuts a file.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from registry.bytes import xet_files, xorbs
from registry.models import ChunkingJob

LEASE_SECONDS = 60  # from one sign of life to the next; doubled with each attempt
LONGEST_SECONDS = 24 * 3600
CANDIDATES = 8  # looked at for one claim: the others went to somebody else meanwhile


def enqueue(digests: Iterable[str]) -> None:
    """Write down which of these files (sha256) cannot be read by Xet yet; two queries where all can."""
    wanted = set(digests)
    if missing := wanted - xet_files.readable_file_ids(wanted).keys():
        rows = [ChunkingJob(sha256=sha256) for sha256 in sorted(missing)]
        ChunkingJob.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)


def claim() -> ChunkingJob | None:
    """Take the file that waited longest; None where none is free, or nobody may read by Xet here.

    Whoever claims and dies has done no harm: the row is free again after its lease, each time after a longer one. Two
    who work at the same file do the same twice.
    """
    if not settings.XET_READ:
        return None
    now = timezone.now()
    for row in ChunkingJob.objects.filter(free_at__lte=now).order_by("free_at")[:CANDIDATES]:
        mine = ChunkingJob.objects.filter(pk=row.pk, free_at=row.free_at)
        row.attempts += 1
        if mine.update(attempts=F("attempts") + 1, free_at=_lease(row)):
            return row
    return None


def keep_alive(row: ChunkingJob) -> None:
    """Say that somebody still works at it."""
    ChunkingJob.objects.filter(pk=row.pk).update(free_at=_lease(row))


def finish(row: ChunkingJob, file: xorbs.File | None = None) -> None:
    """Write down what the file is made of, if it was cut, and end the job."""
    if file is not None:
        xet_files.record_file(file)
    ChunkingJob.objects.filter(pk=row.pk).delete()


def _lease(row: ChunkingJob) -> datetime:
    seconds = min(LEASE_SECONDS << min(row.attempts - 1, 20), LONGEST_SECONDS)
    return timezone.now() + timedelta(seconds=seconds)
