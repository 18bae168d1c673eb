"""What nobody needs any more: expired xorbs, abandoned uploads, blobs that no revision names. Rows first, bytes later.

Uploads and sweeps never wait for each other over an object; two rules keep them apart. A row is deleted by one
conditional statement of its own, so a reference that came meanwhile wins. An object is deleted only while a row with
its name is held uncommitted (`_claimed`): whoever wants to write down that he found the object waits for us there,
and then looks again (registry/bytes/intake.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from registry.bytes import blobs
from registry.bytes.blobs import Keys
from registry.models import Blob, DerivedArtifact, Repository, RevisionFile, Upload, UploadedBlob, XetFile, Xorb

GRACE_SECONDS = 24 * 3600
HOURS = 24
TOGETHER = 200  # adapters whose files are compared at once with what was delivered for them


@dataclass
class Swept:
    """How many things a sweep removed."""

    xorbs: int = 0
    uploads: int = 0
    blobs: int = 0
    unfinished: int = 0


def sweep(grace_seconds: int = GRACE_SECONDS, *, hour: int | None = None) -> Swept:
    """Remove what expired, and what nobody has referred to for the grace period; any number may run at once.

    With an `hour`, what nobody refers to is looked for in a part of the rows alone, another one each hour of the day:
    a large hub has millions.
    """
    before = timezone.now() - timedelta(seconds=grace_seconds)
    return Swept(
        xorbs=_sweep_xorbs(timezone.now() - timedelta(days=settings.XORB_DAYS), hour),
        uploads=_sweep_uploads(before),
        blobs=_sweep_blobs(before, hour),
        unfinished=blobs.store().tidy(before),
    )


def count_garbage(grace_seconds: int = GRACE_SECONDS) -> Swept:
    """Return what `sweep` would remove now, but for what died while it was written, which only the store knows."""
    before = timezone.now() - timedelta(seconds=grace_seconds)
    fresh = UploadedBlob.objects.filter(blob=OuterRef("pk"), created_at__gte=before)
    named = RevisionFile.objects.filter(blob=OuterRef("pk"))
    needed = DerivedArtifact.objects.filter(
        Exists(RevisionFile.objects.filter(blob=OuterRef("source"))), blob=OuterRef("pk")
    )
    unnamed = Blob.objects.filter(~Exists(named), ~Exists(needed), created_at__lt=before)
    return Swept(
        xorbs=Xorb.objects.filter(last_used_at__lt=timezone.now() - timedelta(days=settings.XORB_DAYS)).count(),
        uploads=Upload.objects.filter(expires_at__lt=before).count(),
        blobs=unnamed.filter(~Exists(fresh)).count(),
    )


def sweep_lost_objects(grace_seconds: int = GRACE_SECONDS) -> int:
    """Remove objects without a row: what a crash between the two steps left behind. Lists the whole store."""
    before = timezone.now() - timedelta(seconds=grace_seconds)
    return sum(
        _drop(model, entry.key.rpartition("/")[2])
        for model, prefix in ((Blob, Keys.BLOBS), (Xorb, Keys.XORBS))
        for entry in blobs.store().list(prefix)
        if entry.modified_at < before and not model.objects.filter(pk=entry.key.rpartition("/")[2]).exists()
    )


def _sweep_xorbs(before: datetime, hour: int | None) -> int:
    expired = Xorb.objects.filter(last_used_at__lt=before)
    unread = XetFile.objects.filter(_among("sha256", hour), created_at__lt=before)
    unread.filter(~Exists(Blob.objects.filter(pk=OuterRef("sha256")))).delete()
    return sum(_forget(expired.filter(pk=name)) and _drop(Xorb, name) for name in expired.values_list("pk", flat=True))


def _sweep_uploads(before: datetime) -> int:
    """Remove tickets whose time is over and what was delivered for them, also where the ticket is gone already."""
    Upload.objects.filter(expires_at__lt=before).delete()
    swept = 0
    for entry in blobs.store().list(Keys.INCOMING):
        ticket = entry.key.removeprefix(Keys.INCOMING).partition(".")[0]  # parts have a number behind it
        if entry.modified_at < before and not Upload.objects.filter(pk=ticket).exists():
            blobs.store().delete(entry.key)
            swept += 1
    return swept


def _sweep_blobs(before: datetime, hour: int | None) -> int:
    """Remove what was delivered and never committed, and what only deleted revisions named."""
    DerivedArtifact.objects.filter(
        _among("source", hour), ~Exists(RevisionFile.objects.filter(blob=OuterRef("source"))), created_at__lt=before
    ).delete()
    _sweep_uploaded_blobs(before, hour)
    return _sweep_orphans(before, hour)


def _sweep_uploaded_blobs(before: datetime, hour: int | None) -> None:
    """Forget what was delivered for an adapter and is in none of its revisions.

    Compared here, not in one statement: a file that is in every adapter (.gitattributes) makes that quadratic, and it
    would hold SQLite's only lock for writing meanwhile.
    """
    repositories = Repository.objects.alias(hour=F("pk") % HOURS).order_by("pk")
    if hour is not None:
        repositories = repositories.filter(hour=hour)
    wanted = list(repositories.values_list("pk", flat=True))
    committed = RevisionFile.objects.filter(blob=OuterRef("blob"), revision__repository=OuterRef("repository"))
    for at in range(0, len(wanted), TOGETHER):
        some = wanted[at : at + TOGETHER]
        files = RevisionFile.objects.filter(revision__repository__in=some).order_by()
        named = set(files.values_list("revision__repository", "blob").distinct())
        held = UploadedBlob.objects.filter(repository__in=some, created_at__lt=before)
        for pk, repository, blob in held.values_list("pk", "repository", "blob"):
            if (repository, blob) not in named:
                UploadedBlob.objects.filter(~Exists(committed), pk=pk).delete()


def _sweep_orphans(before: datetime, hour: int | None) -> int:
    orphans = Blob.objects.filter(
        _among("pk", hour),
        ~Exists(UploadedBlob.objects.filter(blob=OuterRef("pk"))),
        ~Exists(RevisionFile.objects.filter(blob=OuterRef("pk"))),
        ~Exists(DerivedArtifact.objects.filter(blob=OuterRef("pk"))),
        created_at__lt=before,
    )
    return sum(_forget(orphans.filter(pk=name)) and _drop(Blob, name) for name in orphans.values_list("pk", flat=True))


def _among(digest: str, hour: int | None) -> Q:
    """The condition that a digest is one of those of this hour."""
    if hour is None:
        return Q()
    first, end = (f"{0x10000 * one // HOURS:04x}" for one in (hour, hour + 1))
    return Q((f"{digest}__gte", first)) & (Q((f"{digest}__lt", end)) if hour + 1 < HOURS else Q())


def _forget(row: models.QuerySet[Blob] | models.QuerySet[Xorb]) -> bool:
    """Delete a row if it is still unwanted, in one statement; a reference that came meanwhile makes this False."""
    try:
        with transaction.atomic():
            return bool(row._raw_delete(row.db))  # QuerySet.delete() would select first and delete blindly
    except IntegrityError:
        return False


def _drop(model: type[Blob] | type[Xorb], name: str) -> int:
    """Delete the object behind a row that is gone; return how many that were, 0 when somebody wrote the row again."""
    try:
        with _claimed(model, name):
            blobs.store().delete(Keys.blob(name) if model is Blob else Keys.xorb(name))
    except IntegrityError:
        return 0
    return 1


@contextmanager
def _claimed(model: type[Blob] | type[Xorb], name: str) -> Iterator[None]:
    """Hold the row's name for a moment, unseen by anybody; IntegrityError when it is taken."""
    with transaction.atomic():
        model.objects.create(pk=name, size=0)
        yield
        model.objects.filter(pk=name)._raw_delete("default")
