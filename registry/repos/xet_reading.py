"""Reading by Xet: the pieces of stored xorbs that make a file, for callers who may download it."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils import timezone

from registry.bytes import xet_files, xorbs
from registry.bytes.xorbs import hashes
from registry.kernel.errors import FileNotFound
from registry.kernel.policy import Caller
from registry.models import Repository, XetFile
from registry.repos import downloads

KNOWN_SECONDS = 7 * 24 * 3600  # how long a client may rely on an answer; xorbs live longer after a use
NEWEST = 16  # files of a repository in which a chunk is looked for
MOST_LOOKED, WORTH = 1 << 17, 1 << 10  # chunks examined for one request; the cost of opening a xorb, in chunks


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
    """Return the pieces of bytes [start, end) of a file, cut at chunks, and the number of bytes to skip first.

    An empty list means that the file ends before `start`. Raises FileNotFound unless a revision of this repository that
    the caller may download has the file, and all of its xorbs are here.
    """
    row = XetFile.objects.filter(pk=file_id).first()
    sizes = xet_files.keep_alive(row.xorbs) if row else {}
    if (
        row is None
        or not row.xorbs <= sizes.keys()
        or row.sha256 not in downloads.downloadable_digests(repository, {row.sha256}, by)
    ):
        raise FileNotFound(f"Entry not found: there is no file {file_id[:64]!r} to read here.")
    pieces: list[Piece] = []
    at, skip = 0, 0
    stop = row.size if end is None else min(end, row.size)
    for xorb, first, last, size in row.terms:
        if at < stop and at + size > start:
            index = xorbs.xorb_index(xorb, sizes[xorb])
            if start <= at and at + size <= stop:
                piece, before = Piece(xorb, first, last, size, *index.span(first, last)), 0
            else:
                piece, before = _cut(index, xorb, first, last, start - at, stop - at)
            skip = skip if pieces else start - at - before
            pieces.append(piece)
        at += size
    return pieces, max(0, skip)


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

    It looks at the newest files of this repository's revisions that the caller may download: a new version may come
    from another machine. The shard describes only chunks of these files: the same xorb may hold a private file, and
    with the hashes of its chunks anyone could have it assembled as their own. None if no file has the chunk.
    Raises XorbInvalid for text that is no hash.
    """
    digest, left = hashes.parse_hash(chunk), MOST_LOOKED
    for row in XetFile.objects.filter(sha256__in=downloads.newest_digests(repository, by)).order_by("-created_at")[
        :NEWEST
    ]:
        if len(row.xorbs) * WORTH > left or not row.xorbs <= (sizes := xet_files.keep_alive(row.xorbs)).keys():
            continue
        indexes: dict[str, xorbs.Index] = {}
        for name, spans in sorted(_spans_of(row).items()):
            index = xorbs.xorb_index(name, sizes[name])
            left -= max(index.count, WORTH)
            if left >= 0:
                indexes[name] = index.only(spans)
        if any(digest in index for index in indexes.values()):
            xet_files.make_known(indexes, by)
            now = int(timezone.now().timestamp())
            return xorbs.write_shard(indexes, now, now + KNOWN_SECONDS)
    return None


def _spans_of(row: XetFile) -> dict[str, list[tuple[int, int]]]:
    """Return for each xorb of a file the chunks, as [start, end), that belong to the file."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for name, start, end, _ in row.terms:
        spans.setdefault(name, []).append((start, end))
    return spans
