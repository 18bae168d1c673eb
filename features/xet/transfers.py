"""Files by Xet: xorbs and shards that clients send, and the pieces of xorbs that make a file.

A file is believed after it was proven from its xorbs and stored whole. The bytes of a piece are those of the whole
file, with a header before each chunk, since xorbs are not stored for readers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.utils import timezone

from features.xet import xet_files, xorbs
from features.xet.models import XetFile, Xorb
from features.xet.xorbs import Source, chunks
from features.xet.xorbs.chunks import XorbUnknown
from registry.bytes import blobs, intake
from registry.bytes.blobs import BlobMissing, Digest, Keys, Reader
from registry.kernel import policy, quotas, stored_bytes
from registry.kernel.errors import FileNotFound, PushTooLarge, StoreUnavailable
from registry.kernel.policy import Caller, Permission
from registry.models import Blob, Repository, User
from registry.repos import downloads, histories, pull

MAX_SHARD_FILES = 20_000
MAX_SHARD_CHUNKS = 4 << 20  # 20 GB in chunks of 8 KiB, the smallest that clients cut, are fewer; proving takes seconds
# Beyond FREE_CHUNKS, chunks must average FINEST bytes, far fewer than any client cuts: tiny chunks are costly to prove.
FREE_CHUNKS, FINEST = 8192, 1 << 10


def receive_xorb(repository: Repository, name: str, source: Source, *, by: Caller) -> None:
    """Store a xorb that was uploaded to this repository. Raises XorbInvalid, and then keeps nothing."""
    policy.require(by, Permission.DISCUSS, repository)
    _store_xorb(name, source)
    xet_files.make_known([name], by)


def _store_xorb(name: str, source: Source) -> None:
    size = None
    try:
        index_size = xorbs.store_verified_xorb(source, name)
        key = Keys.xorb(name)
        # Another packing of the same chunks may take its place at this moment: record the one that is there at the end.
        while size != (kept := blobs.store().size(key) - index_size):
            now = {"size": kept, "last_used_at": timezone.now(), "is_cold": False}
            Xorb.objects.update_or_create(pk=name, defaults=now)
            size = kept
    except BlobMissing:  # a client sends it again after a 503
        Xorb.objects.filter(pk=name).update(is_cold=True)
        raise StoreUnavailable("The xorb expired while it arrived.") from None


def _no_quota(size: int) -> None:
    """No-op quota: accept any size."""


def receive_shard(
    repository: Repository, source: Source, *, by: Caller, count: Callable[[int], None] = _no_quota
) -> list[Digest]:
    """Receive a shard: prove each file from its xorbs, store it whole, and record that this repository may use it.

    Chunks that these files hold are then deleted.

    `count` is called first with the number of new bytes, and may refuse: a small shard can name the same chunks many
    times, and the files it unpacks to are stored for days.

    Raises ShardInvalid, XorbUnknown (after which the next push of this person names nothing that was sent before),
    DigestMismatch, FileTooLarge and PushTooLarge. Files before the one that
    failed stay stored, which is harmless: no revision names them.
    """
    policy.require(by, Permission.DISCUSS, repository)
    shard = xorbs.read_shard(source)
    _check_sizes(shard)
    try:
        return _receive_files(repository, shard, by, count)
    except XorbUnknown:
        assert by.user is not None, "policy lets nobody send a shard"
        xet_files.let_clients_forget(User.objects.filter(pk=by.user.pk))
        raise


def _receive_files(
    repository: Repository, shard: xorbs.Shard, by: Caller, count: Callable[[int], None]
) -> list[Digest]:
    names = {term.xorb for file in shard.files for term in file.terms} | set(shard.xorbs)
    sizes = xet_files.known_sizes(names, by)
    if missing := sorted(names - sizes.keys()):
        raise XorbUnknown(f"The shard refers to xorb {missing[0]}, which is not stored here (any longer).")
    xet_files.keep_alive(names)
    for file in shard.files:
        xorbs.verify_file(file, sizes)
    unpacked = {file.sha256: file.size for file in shard.files}
    quotas.require_byte_quota(repository, stored_bytes.unheld(repository, unpacked))
    known_blobs = set(Blob.objects.filter(pk__in=unpacked).values_list("pk", flat=True))
    count(sum(size for sha256, size in unpacked.items() if sha256 not in known_blobs))
    digests = [_receive_file(repository, file, sizes) for file in shard.files]
    xet_files.cool(names, {digest.sha256 for digest in digests})
    return digests


def _check_sizes(shard: xorbs.Shard) -> None:
    # A small shard can name one chunk a million times: the limit is on what it unpacks to.
    quotas.check_push(sum(quotas.check_file(file.sha256, file.size) for file in shard.files))
    # Bytes do not bound the work: a file of one-byte chunks takes hours to prove.
    chunks = sum(term.end - term.start for file in shard.files for term in file.terms)
    most = min(MAX_SHARD_CHUNKS, FREE_CHUNKS + sum(file.size for file in shard.files) // FINEST + len(shard.files))
    if len(shard.files) > MAX_SHARD_FILES or chunks > most:
        raise PushTooLarge(
            f"The shard holds {len(shard.files):,} files of {chunks:,} chunks; split them into several shards."
        )


def _receive_file(repository: Repository, file: xorbs.File, sizes: dict[str, int]) -> Digest:
    digest = Digest(file.sha256, file.size)
    intake.store_and_register(repository, digest, lambda: xorbs.assemble_file(file, sizes, xet_files.read_chunks))
    xet_files.record_file(file)
    return digest


# --- reading ----------------------------------------------------------------------------------------------------------
KNOWN_SECONDS = 7 * 24 * 3600  # how long a client may rely on an answer; xorbs live longer after a use
NEWEST = 16  # files of a repository in which a chunk is looked for
LOOK_BACK_FILES = 2_000  # in which these are looked for
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
        if row is not None and (unserved := downloads.find_unserved(repository, [row.sha256], by)):
            raise unserved[row.sha256]
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
    for row in XetFile.objects.filter(sha256__in=_newest_digests(repository, by)).order_by("-created_at")[:NEWEST]:
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


def _newest_digests(repository: Repository, by: Caller) -> set[str]:
    """Return digests of LFS files that the newest revisions here name and this caller may download now.

    It looks back over histories.LOOK_BACK revisions and LOOK_BACK_FILES files, however long the history is.
    """
    revisions = repository.revisions.order_by("-pk").values_list("pk", flat=True)[: histories.LOOK_BACK]
    found = downloads.files_for(repository, by).filter(revision__in=list(revisions)).order_by("-revision")
    if not policy.may_write(by, repository):
        found = found.filter(is_unsearched=False)  # a caller who knows its chunks has it assembled as their own
    return set(found.values_list("blob_id", flat=True)[:LOOK_BACK_FILES])
