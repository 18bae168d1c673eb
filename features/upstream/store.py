"""The files of other hubs that are here: which, their bytes' limit, and forgetting what nobody read for long.

Rows that a record here names stay: verdicts, locks and addresses with a commit lead to them. One row of each namespace
stays too: else somebody could register the name of a namespace there because nobody here read of it for a while.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Sum, Value
from django.db.models.functions import Concat
from django.utils import timezone

from features.upstream.asking import UpstreamRefused
from features.upstream.models import UpstreamDocument, UpstreamFile, UpstreamRepository
from registry.bytes import blobs, blocked_files, garbage
from registry.models import Blob, Repository, RevisionFile
from registry.repos.manifest import Entry

USED_SECONDS = 3600
SLICE = 2000  # rows of each table that are forgotten at once


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


def record(repository: UpstreamRepository, entry: Entry, digest: blobs.Digest) -> bool:
    """Record that proven bytes are in the store; return False if they were swept before the rows protected them.

    Raises FileBlocked for what moderators blocked.
    """
    blocked_files.require_unblocked({entry.path: digest.sha256})
    with transaction.atomic():
        Blob.objects.bulk_create([Blob(sha256=digest.sha256, size=digest.size)], ignore_conflicts=True)
        repository.files.update_or_create(
            etag=etag_of(entry), defaults={"blob_id": digest.sha256, "size": digest.size, "read_at": timezone.now()}
        )
    return blobs.object_exists(blobs.Keys.blob(digest.sha256))


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


def forget() -> None:
    """Forget a part of what nobody read for long; garbage collection removes the bytes that nothing else names."""
    before = timezone.now() - timedelta(days=settings.UPSTREAM.days)
    _forget_files(before)
    _forget_documents(before)
    old = UpstreamRepository.objects.filter(read_at__lt=before, wanted="").order_by("read_at")
    ids = list(old.values_list("pk", flat=True)[:SLICE])
    kept = _recorded(ids)
    for pk in ids:
        _forget(pk, before, is_kept=pk in kept)


def _forget_files(before: datetime) -> None:
    recorded = RevisionFile.objects.filter(blob=OuterRef("blob")).exclude(revision__repository__source="")
    old = UpstreamFile.objects.filter(~Exists(recorded), read_at__lt=before).order_by("read_at")
    ids = list(old.values_list("pk", flat=True)[:SLICE])
    UpstreamFile.objects.filter(pk__in=ids, read_at__lt=before).delete()


def _forget_documents(before: datetime) -> None:
    old = UpstreamDocument.objects.filter(read_at__lt=before).order_by("read_at")
    pairs = list(old.values_list("pk", "repository")[:SLICE])
    kept = _recorded({repository for _, repository in pairs})
    _wait(UpstreamDocument.objects.filter(pk__in=[pk for pk, repository in pairs if repository in kept]))
    gone = [pk for pk, repository in pairs if repository not in kept]
    UpstreamDocument.objects.filter(pk__in=gone, read_at__lt=before).delete()


def _forget(pk: int, before: datetime, *, is_kept: bool) -> None:
    """Delete a row that nobody reads, unless it is the newest of its namespace, which no sweep deletes."""
    with transaction.atomic():
        row = UpstreamRepository.objects.select_for_update().filter(pk=pk, read_at__lt=before, wanted="").first()
        if row is None:
            return
        if is_kept or not UpstreamRepository.objects.filter(namespace=row.namespace, pk__gt=pk).exists():
            _wait(UpstreamRepository.objects.filter(pk=pk))
        elif not row.files.exists():  # they go first, some with each sweep
            row.delete()


def _wait(rows: QuerySet[UpstreamDocument] | QuerySet[UpstreamRepository]) -> None:
    """Look at these again after DOVETAIL_UPSTREAM_DAYS, not in each sweep."""
    rows.update(read_at=timezone.now())


def _recorded(ids: Collection[int]) -> set[int]:
    """Return those of these repositories of other hubs that have a record here."""
    full_name = Concat(F("namespace__name__lower"), Value("/"), F("name__lower"))
    records = Repository.objects.exclude(source="").annotate(folded=full_name)
    rows = UpstreamRepository.objects.filter(
        Exists(records.filter(type=OuterRef("type"), folded=OuterRef("folded"))), pk__in=ids
    )
    return set(rows.values_list("pk", flat=True))
