"""Large files that wait to be cut into chunks, so that Xet reads them as well; and xorbs whose objects are lost.

The row is the job, written by the commit that names a file which came whole, by LFS. It is not urgent, so no message
announces it: workers look every half minute. The indexes of the xorbs are stored first, then the row that describes the
file by them: a process that is killed in between leaves indexes that expire like any others, and that the next attempt
finds. The chunks stay in the file.

A backup holds whole files and no xorbs. A row without its object would offer its files to Xet readers, who fail then,
and have clients that remember the xorb leave its chunks out of a push. Whole files are the truth: without the rows
they are read whole, and cut again.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from features.xet import xet_files, xorbs
from features.xet.models import ChunkingJob, KnownXorb, XetFile, Xorb
from features.xet.xorbs import Term, chunks
from registry.bytes import blobs
from registry.bytes.blobs import BlobMissing, Digest, Hasher, Keys
from registry.bytes.object_copies import batched, in_parallel
from registry.kernel.errors import DigestMismatch, StoreUnavailable
from registry.kernel.seams import Jobs
from registry.models import Blob
from registry.sql import lock_first
from registry.sql.prepared import insert_rows

logger = logging.getLogger(__name__)
CUTTING_SECONDS = 20  # after that no file is begun: the others wait for the next tick
SPAN = 64 << 20  # bytes of one request to the store: a request for gigabytes would stay open too long
LEASE_SECONDS = 60  # from one sign of life to the next; doubled with each attempt
LONGEST_SECONDS = 24 * 3600


def enqueue(digests: Iterable[str]) -> None:
    """Create a job for each of these files (sha256) that cannot be read by Xet yet; two queries if all can."""
    requested = set(digests)
    if missing := requested - xet_files.readable_file_ids(requested).keys():
        insert_rows([ChunkingJob(sha256=sha256) for sha256 in sorted(missing)], ignore_conflicts=True)


def claim() -> ChunkingJob | None:
    """Claim the file that waited longest; None if no row is free, or if reading by Xet is off.

    A worker that dies does no harm: its row is free again after the lease, which doubles with each attempt. Two workers
    on the same file only do the same work twice.
    """
    if not settings.XET_READ:
        return None
    with transaction.atomic():
        row = lock_first(ChunkingJob.objects.filter(free_at__lte=timezone.now()).order_by("free_at"))
        if row is not None:
            row.attempts += 1
            ChunkingJob.objects.filter(pk=row.pk).update(attempts=row.attempts, free_at=_lease(row))
    return row


def keep_alive(row: ChunkingJob) -> None:
    """Extend the lease of a job that is still running."""
    ChunkingJob.objects.filter(pk=row.pk).update(free_at=_lease(row))


def finish(row: ChunkingJob, file: xorbs.File | None = None) -> None:
    """Record the file's reconstruction, if it was cut, and end the job."""
    if file is not None:
        xet_files.record_file(file)
    ChunkingJob.objects.filter(pk=row.pk).delete()


def _lease(row: ChunkingJob) -> datetime:
    seconds = min(LEASE_SECONDS << min(row.attempts - 1, 20), LONGEST_SECONDS)
    return timezone.now() + timedelta(seconds=seconds)


TOGETHER = 500  # rows that one statement compares


def forget() -> int:
    """Delete the rows of xorbs without an object, and have the files that they held cut again; return their number.

    Nobody may be uploading meanwhile: a xorb that has just arrived would be taken for a lost one.
    """
    rows = Xorb.objects.values_list("pk", "is_cold").iterator()
    lost = [name for name, is_lost in in_parallel(_looked_for, rows) if is_lost]
    for names in batched(lost, TOGETHER):
        held = XetFile.objects.filter(spans__xorb__in=names)
        digests = set(held.values_list("sha256", flat=True))
        XetFile.objects.filter(pk__in=list(held.values_list("pk", flat=True))).delete()
        KnownXorb.objects.filter(xorb__in=names).delete()
        Xorb.objects.filter(pk__in=names).delete()
        enqueue(Blob.objects.filter(pk__in=digests).values_list("pk", flat=True))
    return len(lost)


def _looked_for(row: tuple[str, bool]) -> tuple[str, bool]:
    """Return the name of a xorb, and whether its object is missing: its index, where the xorb is cold."""
    name, is_cold = row
    try:
        blobs.store().size(Keys.xorb_index(name) if is_cold else Keys.xorb(name))
    except BlobMissing:
        return name, True
    return name, False


def cut_files() -> None:
    """Cut the files that wait, one after the other; a file that fails waits longer each time."""
    until = time.monotonic() + CUTTING_SECONDS
    while time.monotonic() < until and (row := claim()):
        try:
            cut_file(row)
        except (BlobMissing, DigestMismatch, StoreUnavailable) as problem:
            logger.warning("A file was not cut: %s", problem, extra={"sha256": row.sha256, "attempts": row.attempts})


def cut_file(row: ChunkingJob) -> None:
    """Cut one file, unless it is gone or Xet clients can read it already.

    Raises BlobMissing, DigestMismatch and StoreUnavailable; then the file waits as before.
    """
    blob = Blob.objects.filter(pk=row.sha256, size__gt=0).first()  # an empty file has no chunks
    if blob is None or xet_files.readable_file_ids([row.sha256]):
        finish(row)
    else:
        finish(row, _in_pieces(blob, lambda: keep_alive(row)))


def _in_pieces(blob: Blob, keep_alive: Callable[[], None]) -> xorbs.File:
    cutting = import_module("features.xet.xorbs.chunker")  # here: numpy takes 14 MB, and most hubs cut rarely
    hasher, tree, terms, filling = Hasher(), chunks.Merkle(), list[Term](), cutting.XorbBuilder()
    for chunk in cutting.cut_chunks(_bytes(blob)):
        if not filling.has_room():
            terms.append(_kept(filling))
            filling = cutting.XorbBuilder()
            keep_alive()
        hasher.update(chunk)
        tree.add(filling.add(chunk), len(chunk))
    terms.append(_kept(filling))
    if hasher.digest() != Digest(blob.sha256, blob.size):
        raise DigestMismatch(f"The stored bytes do not match {blob.sha256}.")
    return xorbs.File(tree.file_id(), blob.sha256, terms)


def _bytes(blob: Blob) -> Iterator[bytes]:
    key = Keys.blob(blob.sha256)
    for at in range(0, blob.size, SPAN):
        yield from blobs.pieces(blobs.store().open(key, at, min(at + SPAN, blob.size)))


def _kept(filling: Any) -> Term:
    name, index = filling.finish()
    xet_files.record(name, index)
    return Term(name, 0, filling.count, filling.size, b"")


JOBS = Jobs(after_push=(cut_files,))
