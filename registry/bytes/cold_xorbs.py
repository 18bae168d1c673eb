"""Cold xorbs: whole files hold all their chunks, so only their index stays.

Whole files are the truth, and xorbs a view of them: a xorb is cold as soon as the files that it was sent for are
stored, so the bytes of the hub are stored once. A client that remembers having sent it may name it in a push all the
same: its chunks are read out of whole files. Readers by Xet get theirs from the file that they read
(repos/delivery/xet_reading.py).

The row says cold before the object is deleted, and the object is deleted only while that row is locked: a writer that
has sent the xorb again waits there, and then checks that the object exists (intake.py).
"""

import time
from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta

from django.db import transaction
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.utils import timezone

from registry.bytes import blobs, xet_files, xorbs
from registry.bytes.batching import batched
from registry.bytes.blobs import BlobMissing, Bytes, Keys
from registry.bytes.xorbs import Index, Term
from registry.kernel.errors import XorbUnknown
from registry.models import Blob, User, Xorb, XorbSpan

SECONDS = 60.0  # of one run
TOGETHER = 500  # deleted files of one query
IDLE_SECONDS = 3600  # after which no push that sent a xorb is still on its way


def cool(names: Collection[str], whole: Collection[str]) -> None:
    """Delete the chunks of those of these xorbs that whole files hold; `whole` (sha256) are known to be stored."""
    for row in Xorb.objects.filter(pk__in=names, is_cold=False):
        _cool(row, whole)


def cool_idle(names: tuple[str, str], seconds: float = SECONDS) -> int:
    """Do the same for xorbs between these two names that were left warm, by a crash for example; return how many."""
    ends, before = time.monotonic() + seconds, timezone.now() - timedelta(seconds=IDLE_SECONDS)
    idle = Xorb.objects.filter(is_cold=False, last_used_at__lt=before, pk__gte=names[0], pk__lt=names[1])
    cooled = 0
    for row in idle.order_by("last_used_at").iterator():
        if time.monotonic() > ends:
            break
        cooled += _cool(row)
    return cooled


def record(name: str, index: Index) -> None:
    """Record a xorb whose chunks a whole file holds: its index is stored, and none of its bytes."""
    key, now = Keys.xorb_index(name), timezone.now()
    blobs.store().put(key, [index.table])
    Xorb.objects.update_or_create(
        pk=name,
        defaults={"last_used_at": now},
        create_defaults={"last_used_at": now, "size": index.span(0, index.count)[1], "is_cold": True},
    )
    blobs.store().put(key, [index.table])  # again, as a sweep may have removed it before the row protected it


def _cool(row: Xorb, whole: Collection[str] = ()) -> bool:
    try:
        index = xorbs.xorb_index(row.pk, row.size)
    except XorbUnknown:  # the sweep was faster
        return False
    if not _is_held(row.pk, index, whole):
        return False
    blobs.store().put(Keys.xorb_index(row.pk), [index.table])
    unused = Xorb.objects.filter(pk=row.pk, is_cold=False, last_used_at=row.last_used_at)
    return bool(unused.update(is_cold=True)) and drop_chunks(row.pk)


def drop_chunks(name: str) -> bool:
    """Delete the object of a cold xorb; return False if it is not cold any more."""
    with transaction.atomic():
        locked = Xorb.objects.filter(pk=name, is_cold=True).update(is_cold=True)
        if locked:
            blobs.store().delete(Keys.xorb(name))
    return bool(locked)


def note_lost(files: Iterable[str]) -> None:
    """Have clients forget cold xorbs whose chunks were in these deleted files (sha256) alone.

    They remember for weeks what they sent, and name it without asking: so everyone who sent or was told of such a xorb
    gets another address for the next push.
    """
    for batch in batched(files, TOGETHER):
        names = XorbSpan.objects.filter(file__sha256__in=batch).values("xorb")
        cold = Xorb.objects.filter(pk__in=names, is_cold=True).order_by("pk")
        lost = [row.pk for row in cold if not _is_held(row.pk, xorbs.xorb_index(row.pk, row.size))]
        if lost:
            xet_files.let_clients_forget(User.objects.filter(known_xorbs__xorb__in=lost))


def _is_held(name: str, index: Index, whole: Collection[str] = ()) -> bool:
    """Return whether whole files, whose objects are there, hold every chunk of a xorb."""
    held, files = 0, set[str]()
    for span in _spans(name).order_by("start", "-end"):
        if span.start > held:
            return False
        if span.end > held:
            held = span.end
            files.add(span.file.sha256)
    return held >= index.count and all(map(_is_whole, files.difference(whole)))


def _is_whole(sha256: str) -> bool:
    size = Blob.objects.filter(pk=sha256).values_list("size", flat=True).first()
    try:
        return size is not None and blobs.store().size(Keys.blob(sha256)) == size
    except BlobMissing:
        return False


def _spans(name: str) -> QuerySet[XorbSpan]:
    """Return the parts of a xorb that files hold which are stored whole."""
    whole = Blob.objects.filter(pk=OuterRef("file__sha256")).values("pk")
    return (
        XorbSpan.objects.filter(xorb=name)
        .alias(whole=Subquery(whole))
        .filter(whole=F("file__sha256"))
        .select_related("file")
    )


def read_chunks(term: Term, index: Index) -> Iterator[Bytes]:
    """Yield the chunks of a term out of whole files. Raises XorbUnknown if none holds them any more."""
    at = term.start
    while at < term.end:
        span = _spans(term.xorb).filter(start__lte=at, end__gt=at).order_by("-end").first()
        if span is None:
            raise XorbUnknown(f"The upload refers to xorb {term.xorb}, which is not here (any more).")
        end = min(span.end, term.end)
        first = span.at + _bytes(index, span.start, at)
        try:
            reader = blobs.store().open(Keys.blob(span.file.sha256), first, first + _bytes(index, at, end))
        except BlobMissing:
            raise XorbUnknown(f"The upload refers to xorb {term.xorb}, which is not here (any more).") from None
        yield from blobs.pieces(reader)
        at = end


def _bytes(index: Index, start: int, end: int) -> int:
    return sum(size for _, size in index.chunks(start, end))
