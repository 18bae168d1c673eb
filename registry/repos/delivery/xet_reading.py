"""Reading by Xet: the pieces of xorbs that make a file, for callers who may download it.

Their bytes are those of the whole file, with a header before each chunk: xorbs are not stored for readers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils import timezone

from registry.bytes import xet_files, xorbs
from registry.bytes.blobs import Keys, Reader
from registry.bytes.xorbs import chunks
from registry.kernel.errors import FileNotFound
from registry.kernel.policy import Caller
from registry.models import Repository, XetFile
from registry.repos import pull
from registry.repos.delivery import downloads

KNOWN_SECONDS = 7 * 24 * 3600  # how long a client may rely on an answer; xorbs live longer after a use
NEWEST = 16  # files of a repository in which a chunk is looked for
MOST_LOOKED, WORTH = 1 << 17, 1 << 10  # chunks examined for one request; the cost of opening a xorb, in chunks


@dataclass(frozen=True, slots=True)
class Piece:
    """Chunks [start, end) of a xorb: bytes [first, last) of it where no chunk is packed, `size` bytes of the file.

    These begin at byte `at` of the file with the digest `sha256`.
    """

    xorb: str
    start: int
    end: int
    size: int
    first: int
    last: int
    sha256: str
    at: int


def file_pieces(
    repository: Repository, file_id: str, start: int, end: int | None, *, by: Caller
) -> tuple[list[Piece], int]:
    """Return the pieces of bytes [start, end) of a file, cut at chunks, and the number of bytes to skip first.

    An empty list means that the file ends before `start`. Raises FileNotFound unless a revision of this repository that
    the caller may download has the file, and all of its xorbs are here. Raises FileNotSearched.
    """
    row = XetFile.objects.filter(pk=file_id).first()
    sizes = xet_files.keep_alive(row.xorbs) if row else {}
    if row is None or not row.xorbs <= sizes.keys() or downloads.find_by_digest(repository, row.sha256, by) is None:
        raise FileNotFound(f"Entry not found: there is no file {file_id[:64]!r} to read here.")
    pieces: list[Piece] = []
    at, skip = 0, 0
    stop = row.size if end is None else min(end, row.size)
    for xorb, first, last, size in row.terms:
        if at < stop and at + size > start:
            index = xorbs.xorb_index(xorb, sizes[xorb])
            before, inside = 0, size
            if at < start or at + size > stop:
                first, last, before, inside = _cut(index, first, last, start - at, stop - at)
            skip = skip if pieces else start - at - before
            pieces.append(Piece(xorb, first, last, inside, *index.plain_span(first, last), row.sha256, at + before))
        at += size
    return pieces, max(0, skip)


def open_piece(piece: Piece, start: int, end: int) -> Iterator[bytes]:
    """Open bytes [start, end) of the xorb of a piece, which lie in it. Raises XorbUnknown and StoreUnavailable."""
    sizes = xet_files.keep_alive({piece.xorb})
    index = xorbs.xorb_index(piece.xorb, sizes.get(piece.xorb, 0))
    source = pull.open_object(Keys.blob(piece.sha256), piece.at, piece.at + piece.size)
    raw_sizes = [size for _, size in index.chunks(piece.start, piece.end)]
    return _part(source, raw_sizes, start - piece.first, end - piece.first)


def _part(source: "pull.Span | Reader", sizes: list[int], start: int, end: int) -> Iterator[bytes]:
    at = 0
    try:
        for data in xorbs.plain_chunks(source, sizes):
            if at + len(data) > start and at < end:
                yield data[max(0, start - at) : end - at]
            at += len(data)
    finally:
        source.close()


def _cut(index: xorbs.Index, first: int, last: int, start: int, stop: int) -> tuple[int, int, int, int]:
    """Return which chunks of a term hold its bytes [start, stop), how many bytes lie before them, and their size."""
    chunks = list(_spans(index, first, last))
    inside = [(number, at, size) for number, at, size in chunks if at + size > start and at < stop]
    return inside[0][0], inside[-1][0] + 1, inside[0][1], sum(size for *_, size in inside)


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
    digest, left = chunks.parse_hash(chunk), MOST_LOOKED
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
