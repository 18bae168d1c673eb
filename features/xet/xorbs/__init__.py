"""Stored xorbs: verify and store one, check a file's terms against them, and assemble the file as a stream.

`hashes.py` is the arithmetic, `chunks.py` and `shards.py` are the formats. Rows and rights: transfers.py.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache

from features.xet.xorbs import chunks, shards
from features.xet.xorbs.chunks import MAX_XORB_BYTES, Index, ShardInvalid, Source, XorbUnknown
from features.xet.xorbs.shards import MAX_SHARD_BYTES, File, Shard, Term
from registry.bytes import blobs
from registry.bytes.blobs import BlobMissing, Bytes, Keys

__all__ = [
    "MAX_SHARD_BYTES",
    "MAX_XORB_BYTES",
    "File",
    "Index",
    "Shard",
    "Source",
    "Term",
    "assemble_file",
    "plain_chunks",
    "read_shard",
    "store_verified_xorb",
    "verify_file",
    "write_shard",
    "xorb_index",
]

plain_chunks = chunks.plain_chunks
read_shard = shards.parse_shard
write_shard = shards.build_shard


def store_verified_xorb(source: Source, name: str) -> int:
    """Store the xorb with this hash (text form) from a stream; return the length of its index in bytes.

    The xorb that is kept may be packed otherwise than this one, because the hash is that of the unpacked chunks; the
    index has the same length then.

    Raises XorbInvalid, and then keeps nothing, and BlobMissing. Every byte is verified also when we have the xorb.
    Memory stays at a few MiB with a folder and below 40 MiB with S3, though a xorb may have 64.
    """
    xorb = chunks.VerifiedXorb(source, name)
    key = Keys.xorb(name)
    if blobs.object_exists(key):
        for _ in xorb:
            pass
    else:
        blobs.store().put(key, xorb)
    return xorb.index_size


def verify_file(file: File, sizes: Mapping[str, int]) -> None:
    """Check that the uploader knows every chunk of the file, and that its id is right.

    `sizes` maps the name of every kept xorb to the size of its chunks in bytes. Raises XorbUnknown and ShardInvalid.
    """
    tree = chunks.Merkle()
    for term in file.terms:
        index = _index_of(term, sizes)
        if term.end > index.count:
            raise ShardInvalid(f"A term names chunks up to {term.end} of xorb {term.xorb}, which has {index.count}.")
        hashed_chunks = list(index.chunks(term.start, term.end))
        if chunks.hash_range(b"".join(digest for digest, _ in hashed_chunks)) != term.proof:
            raise ShardInvalid(f"The proof for chunks {term.start} to {term.end} of xorb {term.xorb} is wrong.")
        if sum(size for _, size in hashed_chunks) != term.size:
            raise ShardInvalid(f"Chunks {term.start} to {term.end} of xorb {term.xorb} are not {term.size} bytes.")
        for digest, size in hashed_chunks:
            tree.add(digest, size)
    if tree.file_id() != file.file_id:
        raise ShardInvalid(f"The chunks do not make the file {chunks.to_text(file.file_id)}.")


def _nowhere(term: Term, index: Index) -> Iterator[Bytes]:
    raise _unknown(term.xorb)


def assemble_file(
    file: File, sizes: Mapping[str, int], elsewhere: Callable[[Term, Index], Iterator[Bytes]] = _nowhere
) -> Iterator[Bytes]:
    """Yield the bytes of a proven file, chunk by chunk (at most 128 KiB each).

    `elsewhere` yields those of a term whose xorb is cold.
    """
    for term in file.terms:
        index = _index_of(term, sizes)
        try:
            reader = _open(term.xorb, *index.span(term.start, term.end))
        except XorbUnknown:
            yield from elsewhere(term, index)
            continue
        with reader:
            for span in chunks.read_spans(reader):
                yield from (chunk.raw for chunk in span.chunks)


def xorb_index(name: str, size: int) -> Index:
    """Return the index of a stored or cold xorb whose chunks have `size` bytes. Raises XorbUnknown."""
    return _index(name, size)


def _index_of(term: Term, sizes: Mapping[str, int]) -> Index:
    if term.xorb not in sizes:
        raise _unknown(term.xorb)
    return _index(term.xorb, sizes[term.xorb])


@lru_cache(maxsize=16)  # at most 320 KiB each, usually 40; a xorb never changes
def _index(name: str, size: int) -> Index:
    for key, start in ((Keys.xorb(name), size), (Keys.xorb_index(name), 0)):
        with suppress(XorbUnknown), _open_key(key, name, start) as reader:
            index = Index(reader.read())
            if index.is_of(name):  # else it was sent again this moment, packed otherwise
                return index
    raise _unknown(name)


def _open(name: str, start: int, end: int | None = None) -> blobs.Reader:
    return _open_key(Keys.xorb(name), name, start, end)


def _open_key(key: str, name: str, start: int = 0, end: int | None = None) -> blobs.Reader:
    try:
        return blobs.store().open(key, start, end)
    except BlobMissing:
        raise _unknown(name) from None


def _unknown(name: str) -> XorbUnknown:
    return XorbUnknown(f"The upload refers to xorb {name}, which is not stored here (any longer).")
