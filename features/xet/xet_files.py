"""Reconstructions: recorded at intake, and offered to Xet readers while the index of every xorb of the file is stored.

Only proven files are recorded (transfers.py). Offering a file keeps its xorbs alive: clients that were given a Xet hash
fail without them. The bytes of a file that is read come from the whole file (transfers.py).

Whole files are the truth, and xorbs a view of them: a xorb is cold as soon as the files that it was sent for are
stored, so the bytes of the hub are stored once, and only the index of the xorb stays. A client that remembers having
sent it may name it in a push all the same: its chunks are read out of whole files.

The row says cold before the object is deleted, and the object is deleted only while that row is locked: a writer that
has sent the xorb again waits there, and then checks that the object exists (transfers.py).
"""

import time
from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta
from itertools import accumulate

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Subquery
from django.utils import timezone

from features.xet import xorbs
from features.xet.models import KnownXorb, XetFile, Xorb, XorbSpan
from features.xet.xorbs import Index, Term, chunks
from features.xet.xorbs.chunks import XorbUnknown
from registry.bytes import blobs
from registry.bytes.blobs import BlobMissing, Bytes, Keys
from registry.bytes.object_copies import batched
from registry.kernel.policy import Caller
from registry.models import Blob, User

KEEP_SECONDS = 24 * 3600  # how often a use is recorded
MOST_TERMS = 4096  # of an offered file: one in more pieces downloads faster whole
FINEST = 8 << 10  # bytes of a chunk, except the last one of a file: no client cuts finer
MOST_WAYS = 8  # reconstructions of one file: every reader may upload it again, chunked differently


def record_file(file: xorbs.File) -> None:
    """Record the reconstruction of a proven file, unless it is inefficient or enough usable ones are known.

    Anyone with read access can upload a file again, chunked differently; keep their chunking out of other readers'
    reconstructions.
    """
    terms = [[term.xorb, term.start, term.end, term.size] for term in file.terms]
    pieces = sum(term.end - term.start for term in file.terms)
    if len(terms) > MOST_TERMS or pieces > file.size // FINEST + 1:
        return
    others = {row.pk: row for row in XetFile.objects.filter(sha256=file.sha256)}
    same = others.pop(chunks.to_text(file.file_id), None)
    if same and len(same.terms) <= len(terms) and same.xorbs <= keep_alive(same.xorbs).keys():
        return
    if len(others) >= MOST_WAYS:
        unusable = set(others) - {row.pk for row in _whole(others.values())}
        if not unusable:
            return
        XetFile.objects.filter(pk__in=unusable).delete()
    with transaction.atomic():
        row, _ = XetFile.objects.update_or_create(
            pk=chunks.to_text(file.file_id), defaults={"sha256": file.sha256, "size": file.size, "terms": terms}
        )
        row.spans.all().delete()
        ends = accumulate(term.size for term in file.terms)
        XorbSpan.objects.bulk_create(
            XorbSpan(file=row, xorb=term.xorb, start=term.start, end=term.end, at=end - term.size)
            for term, end in zip(file.terms, ends, strict=True)
        )


def make_known(names: Iterable[str], by: Caller) -> None:
    """Let a caller name these stored xorbs in shards: the answer to any other name is that no such xorb is here.

    Otherwise a shard of guessed bytes would tell whether a private repository holds them.
    """
    if by.user is not None:
        rows = [KnownXorb(person=by.user, xorb=name) for name in names]
        KnownXorb.objects.bulk_create(rows, ignore_conflicts=True)


def let_clients_forget(people: QuerySet[User]) -> None:
    """Have the clients of these people forget what they sent, because not all of it is here any more.

    They get another address for their next push (wire.py), at which they remember nothing.
    """
    people.update(chunks_lost_at=timezone.now())


def known_sizes(names: Iterable[str], by: Caller) -> dict[str, int]:
    """Return name → size of those of these xorbs that are stored and known to the caller."""
    known = KnownXorb.objects.filter(person=by.user, xorb=OuterRef("pk"))
    return dict(Xorb.objects.filter(Exists(known), pk__in=list(names)).values_list("pk", "size"))


def readable_file_ids(digests: Iterable[str]) -> dict[str, str]:
    """Return sha256 → file id of the files whose xorbs are all known, and keep those alive.

    Of several reconstructions it chooses the one with the fewest pieces, and of those the newest.
    """
    rows = list(XetFile.objects.filter(sha256__in=set(digests)))
    if len(rows) > len({row.sha256 for row in rows}):
        rows = sorted(_whole(rows), key=lambda row: (-len(row.terms), row.created_at))
    chosen = {row.sha256: row for row in rows}
    stored = keep_alive({name for row in chosen.values() for name in row.xorbs})
    return {sha256: row.file_id for sha256, row in chosen.items() if row.xorbs <= stored.keys()}


def _whole(rows: Collection[XetFile]) -> list[XetFile]:
    """Return the files of which every xorb is known, without keeping any alive."""
    names = {name for row in rows for name in row.xorbs}
    stored = set(Xorb.objects.filter(pk__in=names).values_list("pk", flat=True))
    return [row for row in rows if row.xorbs <= stored]


def keep_alive(names: set[str]) -> dict[str, int]:
    """Return name → size of those of these xorbs that are here, cold ones too; prolong it for those idle for a day."""
    rows = Xorb.objects.in_bulk(names)
    before = timezone.now() - timedelta(seconds=KEEP_SECONDS)
    if stale := [name for name, row in rows.items() if row.last_used_at < before]:
        Xorb.objects.filter(pk__in=stale).update(last_used_at=timezone.now())
        # The sweep may have been faster.
        rows = {row.pk: row for row in Xorb.objects.filter(pk__in=names)}
    return {name: row.size for name, row in rows.items()}


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
        row = Xorb.objects.select_for_update().filter(pk=name, is_cold=True).first()
        if row is not None:
            blobs.store().delete(Keys.xorb(name))
    return row is not None


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
            let_clients_forget(User.objects.filter(known_xorbs__xorb__in=lost))


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
            raise XorbUnknown(f"The upload refers to xorb {term.xorb}, which is not stored here (any longer).")
        end = min(span.end, term.end)
        first = span.at + _bytes(index, span.start, at)
        try:
            reader = blobs.store().open(Keys.blob(span.file.sha256), first, first + _bytes(index, at, end))
        except BlobMissing:
            raise XorbUnknown(
                f"The upload refers to xorb {term.xorb}, which is not stored here (any longer)."
            ) from None
        yield from blobs.pieces(reader)
        at = end


def _bytes(index: Index, start: int, end: int) -> int:
    return sum(size for _, size in index.chunks(start, end))
