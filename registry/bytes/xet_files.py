"""Reading by Xet: which files can be put together again from kept xorbs, and of which pieces.

Only what shards proved is written down here (intake.py). A file is offered while every xorb of it is kept, and
being offered keeps them: clients that were told a Xet hash insist on it.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from registry.bytes import xorbs
from registry.bytes.xorbs import hashes
from registry.kernel.errors import FileNotFound
from registry.kernel.policy import Caller
from registry.kernel.prepared import Prepared
from registry.models import Repository, XetFile, Xorb
from registry.repos import downloads

KEEP_SECONDS = 24 * 3600  # how often a use is written down
KNOWN_SECONDS = 7 * 24 * 3600  # how long a client may build on what it was told; xorbs live longer after a use
NEWEST = 16  # files of a repository in which a chunk is looked for
MOST_LOOKED, WORTH = 1 << 17, 1 << 10  # chunks looked at for one question; to open a xorb costs as much as so many
MOST_TERMS = 4096  # of a file that is offered for reading: one in more pieces is faster whole
FINEST = 8 << 10  # bytes of a chunk, but for the last one of a file: no client cuts finer
MOST_WAYS = 8  # in which one file is known: whoever reads it may bring it again, in pieces of his own


@dataclass(frozen=True, slots=True)
class Piece:
    """Chunks [start, end) of a kept xorb: `size` bytes of the file, bytes [first, last) of the stored xorb."""

    xorb: str
    start: int
    end: int
    size: int
    first: int
    last: int


def note(file: xorbs.File) -> None:
    """Write down how a proven file is made, unless that is a bad way, or it is known in enough ways that hold.

    Whoever may read a file may bring it again, cut and spread as he likes: that must not become how others read it.
    """
    terms = [[term.xorb, term.start, term.end, term.size] for term in file.terms]
    chunks = sum(term.end - term.start for term in file.terms)
    if len(terms) > MOST_TERMS or chunks > file.size // FINEST + 1:
        return
    ways = {row.pk: row for row in XetFile.objects.filter(sha256=file.sha256)}
    same = ways.pop(hashes.text(file.file_id), None)
    if same and len(same.terms) <= len(terms) and same.xorbs <= _kept(same.xorbs).keys():
        return
    if len(ways) >= MOST_WAYS:
        gone = set(ways) - {row.pk for row in _whole(ways.values())}
        if not gone:
            return
        XetFile.objects.filter(pk__in=gone).delete()
    XetFile.objects.update_or_create(
        pk=hashes.text(file.file_id), defaults={"sha256": file.sha256, "size": file.size, "terms": terms}
    )


def offered(digests: Iterable[str]) -> dict[str, str]:
    """Return sha256 → file id of those files whose xorbs are all here, and stay for as long as clients may ask.

    Of several ways to read a file the one in fewest pieces, and of those the newest.
    """
    asked = set(digests)
    rows = list(_FILES_OF(next(iter(asked))) if len(asked) == 1 else XetFile.objects.filter(sha256__in=asked))
    if len(rows) > len({row.sha256 for row in rows}):
        rows = sorted(_whole(rows), key=lambda row: (-len(row.terms), row.created_at))
    found = {row.sha256: row for row in rows}
    kept = _kept({name for row in found.values() for name in row.xorbs})
    return {sha256: row.file_id for sha256, row in found.items() if row.xorbs <= kept.keys()}


def _whole(rows: Collection[XetFile]) -> list[XetFile]:
    """Return those of which every xorb is here; keeps none of them."""
    wanted = {name for row in rows for name in row.xorbs}
    there = set(Xorb.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    return [row for row in rows if row.xorbs <= there]


_FILES_OF = Prepared(lambda sha256: XetFile.objects.filter(sha256=sha256), str)
_XORBS = Prepared(lambda *names: Xorb.objects.filter(pk__in=names), str, str)


def _kept(names: set[str]) -> dict[str, int]:
    """Return name → size of the xorbs that are here, and let those that nobody used for a day live on."""
    few = (sorted(names) * 2)[:2]  # the query has places for two, which hold 128 MiB
    rows = {row.pk: row for row in (_XORBS(*few) if 0 < len(names) <= 2 else Xorb.objects.filter(pk__in=names))}
    before = timezone.now() - timedelta(seconds=KEEP_SECONDS)
    if stale := [name for name, row in rows.items() if row.last_used_at < before]:
        Xorb.objects.filter(pk__in=stale).update(last_used_at=timezone.now())
        rows = {row.pk: row for row in Xorb.objects.filter(pk__in=names)}  # the sweep may have been faster
    return {name: row.size for name, row in rows.items()}


def pieces(repository: Repository, file_id: str, start: int, end: int | None, *, by: Caller) -> tuple[list[Piece], int]:
    """Return what bytes [start, end) of a file are made of, and how many bytes to skip at the beginning.

    Cut at chunks. An empty list means that the file ends before `start`. Raises FileNotFound unless a revision of this
    adapter that the caller may download has the file, and all of it is here.
    """
    row = XetFile.objects.filter(pk=file_id).first()
    kept = _kept(row.xorbs) if row else {}
    if row is None or not row.xorbs <= kept.keys() or row.sha256 not in downloads.named(repository, {row.sha256}, by):
        raise FileNotFound(f"Entry not found: there is no file {file_id[:64]!r} to read here.")
    found: list[Piece] = []
    at, skip = 0, 0
    stop = row.size if end is None else min(end, row.size)
    for xorb, first, last, size in row.terms:
        if at < stop and at + size > start:
            index = xorbs.index(xorb, kept[xorb])
            if start <= at and at + size <= stop:
                piece, before = Piece(xorb, first, last, size, *index.span(first, last)), 0
            else:
                piece, before = _cut(index, xorb, first, last, start - at, stop - at)
            skip = skip if found else start - at - before
            found.append(piece)
        at += size
    return found, max(0, skip)


def _cut(index: xorbs.Index, xorb: str, first: int, last: int, start: int, stop: int) -> tuple[Piece, int]:
    """Return the chunks of a term that hold its bytes [start, stop), and how many bytes lie before them."""
    chunks = list(_spans(index, first, last))
    inside = [(number, at, size) for number, at, size in chunks if at + size > start and at < stop]
    begin, end = inside[0][0], inside[-1][0] + 1
    return Piece(xorb, begin, end, sum(size for *_, size in inside), *index.span(begin, end)), inside[0][1]


def _spans(index: xorbs.Index, first: int, last: int) -> Iterator[tuple[int, int, int]]:
    at = 0
    for number, (_, size) in enumerate(index.chunks(first, last), first):
        yield number, at, size
        at += size


def shard_about(repository: Repository, chunk: str, *, by: Caller) -> bytes | None:
    """Return a shard of the xorbs that hold a file with this chunk, so that a client need not send them again.

    Asked of the newest files that revisions of this adapter name and the caller may download: a new version from
    another machine. Of chunks beside those of the file nothing is said: one push may have put a private file there,
    and who knows the hashes of chunks could have them put together as his own. None where none of them has the chunk.
    Raises XorbInvalid for what is no hash.
    """
    digest, left = hashes.parse(chunk), MOST_LOOKED
    for row in XetFile.objects.filter(sha256__in=downloads.newest(repository, by)).order_by("-created_at")[:NEWEST]:
        if len(row.xorbs) * WORTH > left or not row.xorbs <= (kept := _kept(row.xorbs)).keys():
            continue
        told: dict[str, xorbs.Index] = {}
        for name, spans in sorted(_spans_of(row).items()):
            index = xorbs.index(name, kept[name])
            left -= max(index.count, WORTH)
            if left >= 0:
                told[name] = index.only(spans)
        if any(digest in index for index in told.values()):
            now = int(timezone.now().timestamp())
            return xorbs.write_shard(told, now, now + KNOWN_SECONDS)
    return None


def _spans_of(row: XetFile) -> dict[str, list[tuple[int, int]]]:
    """Return for each xorb of a file which of its chunks, [start, end), belong to the file."""
    found: dict[str, list[tuple[int, int]]] = {}
    for name, start, end, _ in row.terms:
        found.setdefault(name, []).append((start, end))
    return found
