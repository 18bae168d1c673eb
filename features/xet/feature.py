"""Xet in the domain: files that wait to be cut, the ids by which clients read, and the garbage collection of xorbs."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from features.xet import jobs, xet_files
from features.xet.models import ChunkingJob, KnownXorb, XetFile, Xorb
from registry.bytes import garbage
from registry.bytes.blobs import Keys
from registry.kernel.seams import Feature, Garbage, Gauge
from registry.models import Blob


def _sweep(hour: int | None) -> int:
    """Delete chunks that whole files hold, rows of lost files, and expired xorbs; return the number of these."""
    xet_files.cool_idle(garbage.names_between(hour))
    unread = XetFile.objects.filter(garbage.among("sha256", hour), created_at__lt=_before())
    unread.filter(~Exists(Blob.objects.filter(pk=OuterRef("sha256")))).delete()
    expired = _expired()
    removed = [name for name in expired.values_list("pk", flat=True) if garbage.forget(expired.filter(pk=name))]
    swept = sum(garbage.drop(Xorb, name, *_keys_of(name)) for name in removed)
    KnownXorb.objects.filter(~Exists(Xorb.objects.filter(pk=OuterRef("xorb"))), xorb__in=removed).delete()
    return swept


def _before() -> datetime:
    return timezone.now() - timedelta(days=settings.XORB_DAYS)


def _expired() -> QuerySet[Xorb]:
    return Xorb.objects.filter(last_used_at__lt=_before())


def _keys_of(name: str) -> tuple[str, ...]:
    return Keys.xorb(name), Keys.xorb_index(name)


def _sweep_lost(before: datetime, hour: int | None) -> int:
    dropped = 0
    for prefix in (Keys.XORBS, Keys.INDEXES):
        for names in garbage.old_names(prefix, before, hour):
            dropped += garbage.drop_lost(Xorb, names, _keys_of)
            if prefix == Keys.XORBS:
                cold = Xorb.objects.filter(pk__in=names, is_cold=True)
                dropped += sum(map(xet_files.drop_chunks, cold.values_list("pk", flat=True)))
    return dropped


def _ids(digests: Collection[str]) -> Mapping[str, str]:
    return xet_files.readable_file_ids(digests) if settings.XET_READ else {}


def _counts() -> Iterator[Gauge]:
    help = "Files that came by Git LFS and wait to be cut."
    yield Gauge("dovetail_uncut_files", help, ChunkingJob.objects.count())


FEATURE = Feature(
    garbage=(Garbage("xorbs", lambda: _expired().count(), _sweep, _sweep_lost),),
    files_gone=xet_files.note_lost,
    restored=jobs.forget,  # backups hold none, and a copy of the whole store does
    large_files=jobs.enqueue,
    xet_ids=_ids,
    counts=_counts,
)
