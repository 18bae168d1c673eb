"""Garbage collection: abandoned uploads, blobs that no revision names, what features keep. Rows first, bytes later.

Uploads and sweeps never wait for each other over an object; two rules keep them apart. A row is deleted by one
conditional statement of its own, so a reference that came meanwhile wins. An object is deleted only while a row with
its name is held uncommitted (`_claimed`): a writer that wants to record that object waits there, and then checks again
that the object exists (registry/bytes/intake.py).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import IntegrityError, models, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.expressions import Combinable
from django.utils import timezone

from registry.bytes import blobs
from registry.bytes.blobs import Keys
from registry.bytes.object_copies import batched
from registry.kernel import seams
from registry.models import (
    BaseFile,
    Blob,
    BlockedFile,
    DerivedArtifact,
    ExpiredFile,
    RevisionFile,
    TensorDigest,
    Upload,
    UploadedBlob,
)

GRACE_SECONDS = 24 * 3600
HOURS = 24
NEW_SECONDS = 3600  # within which somebody may be about to name a blob
TOGETHER = 500  # rows that one statement compares


@dataclass
class Swept:
    """The numbers of things that a sweep removed."""

    uploads: int = 0
    blobs: int = 0
    unfinished: int = 0
    of_features: dict[str, int] = field(default_factory=dict)


def sweep(grace_seconds: int = GRACE_SECONDS, *, hour: int | None = None) -> Swept:
    """Remove expired rows, and those without a reference for the grace period; many sweeps may run at once.

    With an `hour`, only a part of the rows is searched for orphans, another part each hour of the day: a large hub has
    millions.
    """
    before = timezone.now() - timedelta(seconds=grace_seconds)
    return Swept(
        of_features={one.name: one.sweep(hour) for one in _garbage_of_features()},
        uploads=_sweep_uploads(before),
        blobs=_sweep_blobs(before, hour),
        unfinished=blobs.store().tidy(before),
    )


def count_garbage(grace_seconds: int = GRACE_SECONDS) -> Swept:
    """Return what `sweep` would remove now, without unfinished writes, which only the store knows."""
    before = timezone.now() - timedelta(seconds=grace_seconds)
    fresh = UploadedBlob.objects.filter(blob=OuterRef("pk"), created_at__gte=before)
    needed = DerivedArtifact.objects.filter(_committed("source"), blob=OuterRef("pk"))
    of_base = BaseFile.objects.filter(blob=OuterRef("pk"))
    named = _committed("pk") | Exists(needed) | Exists(of_base)
    orphans = Blob.objects.filter(~named, *_named_by_no_feature(), created_at__lt=before)
    return Swept(
        of_features={one.name: one.due() for one in _garbage_of_features()},
        uploads=Upload.objects.filter(expires_at__lt=before).count(),
        blobs=orphans.filter(~Exists(fresh)).count(),
    )


def sweep_lost_objects(grace_seconds: int = GRACE_SECONDS, *, hour: int | None = None) -> int:
    """Remove objects without a row, which a crash between the two steps leaves behind.

    It lists the store, with an `hour` a part of it, and asks the database about many objects at once.
    """
    before = timezone.now() - timedelta(seconds=grace_seconds)
    dropped = sum(drop_lost(Blob, names, _keys_of) for names in old_names(Keys.BLOBS, before, hour))
    return dropped + sum(one.sweep_lost(before, hour) for one in _garbage_of_features())


def _garbage_of_features() -> Iterator[seams.Garbage]:
    return (one for feature in seams.joined() for one in feature.garbage)


def _keys_of(blob: str) -> tuple[str, ...]:
    return (Keys.blob(blob),)


def drop_lost(model: type[models.Model], names: list[str], keys_of: Callable[[str], tuple[str, ...]]) -> int:
    """Delete the objects of those of these names that have no row; return their number."""
    kept = model._default_manager.filter(pk__in=names).values_list("pk", flat=True)
    return sum(drop(model, name, *keys_of(name)) for name in sorted({*names}.difference(kept)))


def old_names(prefix: str, before: datetime, hour: int | None) -> Iterator[list[str]]:
    """Yield the names of objects from before, many at once, of this hour's part or of all."""
    for part in _parts(prefix, hour):
        old = (entry.key.rpartition("/")[2] for entry in blobs.store().list(part) if entry.modified_at < before)
        yield from batched(old, TOGETHER)


def _parts(prefix: str, hour: int | None) -> list[str]:
    """Return the beginnings of the keys of this hour's part: a folder for each first two digits of a digest."""
    if hour is None:
        return [prefix]
    return [f"{prefix}{number:02x}/" for number in range(256 * hour // HOURS, 256 * (hour + 1) // HOURS)]


def _sweep_uploads(before: datetime) -> int:
    """Remove expired tickets, and staged bytes whose ticket is expired or gone."""
    Upload.objects.filter(expires_at__lt=before).delete()
    swept = 0
    for entry in blobs.store().list(Keys.INCOMING):
        ticket = entry.key.removeprefix(Keys.INCOMING).partition(".")[0]  # parts have a number behind it
        if entry.modified_at < before and not Upload.objects.filter(pk=ticket).exists():
            blobs.store().delete(entry.key)
            swept += 1
    return swept


def _sweep_blobs(before: datetime, hour: int | None) -> int:
    """Remove blobs that were never committed, and those that only deleted revisions named."""
    DerivedArtifact.objects.filter(among("source", hour), ~_committed("source"), created_at__lt=before).delete()
    _sweep_uploaded_blobs(before, hour)
    return _sweep_orphans(before, hour)


def _sweep_uploaded_blobs(before: datetime, hour: int | None) -> None:
    """Delete the records of deliveries that no revision of their repository names; their blobs are swept afterwards.

    A push changes the use of a delivery, so a statement that waited for that push leaves the row alone.
    """
    of_repository = {"blob": OuterRef("blob"), "revision__repository": OuterRef("repository")}
    named = Exists(RevisionFile.objects.filter(**of_repository)) | Exists(ExpiredFile.objects.filter(**of_repository))
    unused = UploadedBlob.objects.filter(use=UploadedBlob.Use.DELIVERED, created_at__lt=before)
    for batch in batched(unused.filter(among("blob", hour)).values_list("pk", flat=True).iterator(), TOGETHER):
        unused.filter(~named, pk__in=batch).delete()


def _sweep_orphans(before: datetime, hour: int | None) -> int:
    return _drop_all(_orphans().filter(among("pk", hour), created_at__lt=before))


def drop_unnamed(names: Iterable[str]) -> int:
    """Remove those of these blobs that no row names any more; return their number. Very new ones are left to sweeps."""
    orphans = _orphans().filter(created_at__lt=timezone.now() - timedelta(seconds=NEW_SECONDS))
    return sum(_drop_all(orphans.filter(pk__in=batch)) for batch in batched(names, TOGETHER))


def _orphans() -> models.QuerySet[Blob]:
    return Blob.objects.filter(
        ~Exists(UploadedBlob.objects.filter(blob=OuterRef("pk"))),
        ~_committed("pk"),
        ~Exists(DerivedArtifact.objects.filter(blob=OuterRef("pk"))),
        ~Exists(BaseFile.objects.filter(blob=OuterRef("pk"))),
        *_named_by_no_feature(),
    )


def _named_by_no_feature() -> list[Combinable]:
    every = (rows() for feature in seams.joined() for rows in feature.blobs)
    return [~Exists(rows.filter(blob=OuterRef("pk"))) for rows in every]


def _committed(blob: str) -> Q:
    """Return the condition that a revision names the blob in this column, or did until its files expired."""
    return Q(Exists(RevisionFile.objects.filter(blob=OuterRef(blob)))) | Q(
        Exists(ExpiredFile.objects.filter(blob=OuterRef(blob)))
    )


def _drop_all(orphans: models.QuerySet[Blob]) -> int:
    names = orphans.values_list("pk", flat=True)
    dropped = [name for name in names if forget(orphans.filter(pk=name)) and drop(Blob, name, Keys.blob(name))]
    _forget_measurements(dropped)
    return len(dropped)


def _forget_measurements(files: list[str]) -> None:
    """Delete the digests of deleted files, and what features know of them; those that return are measured again.

    The digests of blocked tensors stay: by them the same file is refused when it is pushed again.
    """
    is_back = Blob.objects.filter(pk=OuterRef("file"))
    is_blocked = BlockedFile.objects.filter(tensors=OuterRef("sha256"))
    for at in range(0, len(files), TOGETHER):
        batch = files[at : at + TOGETHER]
        for feature in seams.joined():
            feature.files_gone(batch)
        TensorDigest.objects.filter(~Exists(is_back), ~Exists(is_blocked), pk__in=batch).delete()


def among(digest: str, hour: int | None) -> Q:
    """Return the condition that a digest is in this hour's part."""
    if hour is None:
        return Q()
    first, end = names_between(hour)
    return Q((f"{digest}__gte", first), (f"{digest}__lt", end))


def names_between(hour: int | None) -> tuple[str, str]:
    """Return the first name of this hour's part and the one behind its last; all names without an hour."""
    if hour is None:
        return "0", "g"
    first, end = f"{0x10000 * hour // HOURS:04x}", f"{0x10000 * (hour + 1) // HOURS:04x}"
    return first, end if hour + 1 < HOURS else "g"


def forget(row: "models.QuerySet[models.Model]") -> bool:
    """Delete a row if it still meets the condition, in one statement; return False if a new reference came."""
    try:
        with transaction.atomic():
            return bool(row._raw_delete(row.db))  # QuerySet.delete() would select first and delete blindly
    except IntegrityError:
        return False


def drop(model: type[models.Model], name: str, *keys: str) -> int:
    """Delete the objects of a deleted row; return 1, or 0 if the row was written again."""
    try:
        with _claimed(model, name):
            for key in keys:
                blobs.store().delete(key)
    except IntegrityError:
        return 0
    return 1


@contextmanager
def _claimed(model: type[models.Model], name: str) -> Iterator[None]:
    """Hold the row's name in an uncommitted row; IntegrityError if it is taken."""
    with transaction.atomic():
        model._default_manager.create(pk=name, size=0)
        yield
        model._default_manager.filter(pk=name)._raw_delete("default")
