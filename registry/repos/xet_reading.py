"""Reading by Xet: the pieces of kept xorbs that a file is put together from, for callers who may download it."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils import timezone

from registry.bytes import xet_files, xorbs
from registry.bytes.xorbs import hashes
from registry.kernel.errors import FileNotFound
from registry.kernel.policy import Caller
from registry.models import Repository, XetFile
from registry.repos import downloads

KNOWN_SECONDS = 7 * 24 * 3600  # how long a client may build on what it was told; xorbs live longer after a use
NEWEST = 16  # files of a repository in which a chunk is looked for
MOST_LOOKED, WORTH = 1 << 17, 1 << 10  # chunks looked at for one question; to open a xorb costs as much as so many


@dataclass(frozen=True, slots=True)
class Piece:
    """Chunks [start, end) of a kept xorb: `size` bytes of the file, bytes [first, last) of the stored xorb."""

    xorb: str
    start: int
    end: int
    size: int
    first: int
    last: int


def file_pieces(
    repository: Repository, file_id: str, start: int, end: int | None, *, by: Caller
) -> tuple[list[Piece], int]:
    """Return what bytes [start, end) of a file are made of, and how many bytes to skip at the beginning.

    Cut at chunks. An empty list means that the file ends before `start`. Raises FileNotFound unless a revision of this
    adapter that the caller may download has the file, and all of it is here.
    """
    row = XetFile.objects.filter(pk=file_id).first()
    kept = xet_files.keep_alive(row.xorbs) if row else {}
    if (
        row is None
        or not row.xorbs <= kept.keys()
        or row.sha256 not in downloads.downloadable_digests(repository, {row.sha256}, by)
    ):
        raise FileNotFound(f"Entry not found: there is no file {file_id[:64]!r} to read here.")
    found: list[Piece] = []
    at, skip = 0, 0
    stop = row.size if end is None else min(end, row.size)
    for xorb, first, last, size in row.terms:
        if at < stop and at + size > start:
            index = xorbs.xorb_index(xorb, kept[xorb])
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


def shard_for_chunk(repository: Repository, chunk: str, *, by: Caller) -> bytes | None:
    """Return a shard of the xorbs that hold a file with this chunk, so that a client need not send them again.

    Asked of the newest files that revisions of this adapter name and the caller may download: a new version from
    another machine. Of chunks beside those of the file nothing is said: one push may have put a private file there,
    and who knows the hashes of chunks could have them put together as his own. None where none of them has the chunk.
    Raises XorbInvalid for what is no hash.
    """
    digest, left = hashes.parse_hash(chunk), MOST_LOOKED
    for row in XetFile.objects.filter(sha256__in=downloads.newest_digests(repository, by)).order_by("-created_at")[
        :NEWEST
    ]:
        if len(row.xorbs) * WORTH > left or not row.xorbs <= (kept := xet_files.keep_alive(row.xorbs)).keys():
            continue
        told: dict[str, xorbs.Index] = {}
        for name, spans in sorted(_spans_of(row).items()):
            index = xorbs.xorb_index(name, kept[name])
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
