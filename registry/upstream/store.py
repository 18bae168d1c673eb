"""The files of other hubs that are here: which, their bytes' limit, and dropping those that nobody read for longest."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from registry.bytes import blobs, blocked_files, garbage
from registry.bytes.blobs import Digest, Keys
from registry.kernel.errors import UpstreamRefused
from registry.models import Blob, UpstreamFile, UpstreamRepository
from registry.repos.manifest import Entry

USED_SECONDS = 3600


def etag_of(entry: Entry) -> str:
    """Return the name of a file in the caches of clients."""
    return entry.sha256 if entry.is_lfs else entry.git_oid


def find(repository: UpstreamRepository, entry: Entry) -> Entry | None:
    """Return the file with the digest of its bytes if they are here."""
    row = repository.files.filter(etag=etag_of(entry)).first()
    if row is None:
        return None
    if timezone.now() - row.read_at > timedelta(seconds=USED_SECONDS):
        UpstreamFile.objects.filter(pk=row.pk).update(read_at=timezone.now())
    return Entry(entry.path, row.blob_id, row.size, entry.is_lfs, entry.git_oid)


def complete(repository: UpstreamRepository, entries: dict[str, Entry]) -> dict[str, Entry]:
    """Return the files with the digests of those whose bytes are here; one query."""
    known = dict(repository.files.values_list("etag", "blob_id"))
    return {
        path: Entry(path, known.get(etag_of(entry), entry.sha256), entry.size, entry.is_lfs, entry.git_oid)
        for path, entry in entries.items()
    }


def record(repository: UpstreamRepository, entry: Entry, digest: Digest) -> bool:
    """Record that proven bytes are in the store; return False if they were swept before the rows protected them.

    Raises FileBlocked for what moderators blocked.
    """
    blocked_files.require_unblocked({entry.path: digest.sha256})
    with transaction.atomic():
        Blob.objects.bulk_create([Blob(sha256=digest.sha256, size=digest.size)], ignore_conflicts=True)
        repository.files.update_or_create(
            etag=etag_of(entry), defaults={"blob_id": digest.sha256, "size": digest.size, "read_at": timezone.now()}
        )
    return blobs.object_exists(Keys.blob(digest.sha256))


def make_room(size: int) -> None:
    """Drop the files that nobody read for longest until `size` more bytes fit. Raises UpstreamRefused if none can."""
    limit = settings.UPSTREAM.size
    if size > limit:
        raise UpstreamRefused(f"This file has {size:,} bytes; this hub keeps {limit:,} of other hubs.")
    total = UpstreamFile.objects.aggregate(total=Sum("size"))["total"] or 0
    dropped: list[str] = []
    for row in UpstreamFile.objects.order_by("read_at", "pk").iterator(chunk_size=100):
        if total + size <= limit:
            break
        row.delete()
        dropped.append(row.blob_id)
        total -= row.size
    garbage.drop_unnamed(dropped)
