"""The bytes of a xorb: strict parsing of a stream of chunks, the stored form, and hashes. Nothing here knows rows.

Format: huggingface/hub-docs, docs/xet/xorb.md. A stored xorb is the chunks exactly as they were sent, followed by
our own index: for each chunk its hash (32 bytes), its end (u32) and its raw size (u32), little-endian.

Hashes of chunks, the Merkle root over them, file ids and range proofs: huggingface/hub-docs, docs/xet/hashing.md; how
children are grouped: xet-core, aggregated_hashes.rs.
"""

import re
import secrets
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

import lz4.frame
from blake3 import blake3

from registry.bytes.blobs import Bytes
from registry.kernel.errors import Invalid

SIZE = 32
DATA_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
NODE_KEY = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
RANGE_KEY = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
FILE_KEY = bytes(SIZE)

SMALLEST_GROUP, LARGEST_GROUP, BRANCHING = 3, 9, 4


class XorbInvalid(Invalid):
    code = "xorb-invalid"
    default_fix = (
        "Upload again with a current hf_xet; if it still fails, set HF_HUB_DISABLE_XET=1 and report the problem."
    )


class XorbUnknown(Invalid):
    code = "xorb-unknown"
    default_fix = "Push again; the client will then upload everything."


class ShardInvalid(Invalid):
    code = "shard-invalid"
    default_fix = (
        "Upload again with a current hf_xet; if it still fails, set HF_HUB_DISABLE_XET=1 and report the problem."
    )


def to_text(raw: bytes) -> str:
    """Return the text form of a 32-byte hash: four little-endian 64-bit words as hex, not the bytes in order."""
    return "".join(raw[at : at + 8][::-1].hex() for at in range(0, SIZE, 8))


def parse_hash(name: str) -> bytes:
    """Return the 32 bytes behind the text form. Raises XorbInvalid for anything but 64 lower-case hex digits."""
    if not re.fullmatch(r"[0-9a-f]{64}", name):
        raise XorbInvalid(f"{name[:80]!r} is not a Xet hash; use 64 lowercase hex digits.")
    return b"".join(bytes.fromhex(name[at : at + 16])[::-1] for at in range(0, 2 * SIZE, 16))


def hash_chunk(raw: bytes | memoryview) -> bytes:
    """Return the hash of a chunk's raw bytes."""
    return blake3(raw, key=DATA_KEY).digest()


def hash_range(chunk_hashes: bytes) -> bytes:
    """Return the proof that somebody knows the chunks of a range; `chunk_hashes` are their hashes, joined."""
    return blake3(chunk_hashes, key=RANGE_KEY).digest()


def hash_xorb(chunks: Iterable[tuple[bytes, int]]) -> bytes:
    """Return the hash of a xorb from its chunks' (hash, raw size in bytes)."""
    tree = Merkle()
    for chunk, size in chunks:
        tree.add(chunk, size)
    return tree.root()


class Merkle:
    """The Merkle root over (hash, size) leaves, fed one at a time; keeps at most nine nodes a level.

    A group of nodes becomes one parent as soon as it has nine, or at least three of which the last hash is
    divisible by four. The rest at the end of a level is a group too.
    """

    def __init__(self) -> None:
        self._levels: list[list[tuple[bytes, int]]] = []
        self._seen: list[int] = []

    def add(self, leaf: bytes, size: int) -> None:
        """Add the next leaf; `size` is its raw length in bytes."""
        self._push(0, leaf, size)

    def root(self) -> bytes:
        """Return the root over everything added; 32 zero bytes when nothing was. The tree is used up by this."""
        level = 0
        while level < len(self._levels):
            if self._seen[level] == 1:
                return self._levels[level][0][0]
            if self._levels[level]:
                self._close(level)
            level += 1
        return bytes(SIZE)

    def file_id(self) -> bytes:
        """Return the id of a file made of these chunks; uses the tree up."""
        return blake3(self.root(), key=FILE_KEY).digest()

    def _push(self, level: int, node: bytes, size: int) -> None:
        if level == len(self._levels):
            self._levels.append([])
            self._seen.append(0)
        group = self._levels[level]
        group.append((node, size))
        self._seen[level] += 1
        # The last 64-bit word decides; of a little-endian word the first byte holds the remainder modulo four.
        natural = len(group) >= SMALLEST_GROUP and node[24] % BRANCHING == 0
        if natural or len(group) == LARGEST_GROUP:
            self._close(level)

    def _close(self, level: int) -> None:
        group = self._levels[level]
        lines = "".join(f"{to_text(node)} : {size}\n" for node, size in group)
        total = sum(size for _, size in group)
        group.clear()
        self._push(level + 1, blake3(lines.encode(), key=NODE_KEY).digest(), total)


HEADER_SIZE = 8
MAX_CHUNKS = 8192
MAX_CHUNK_BYTES = 128 << 10
# Clients cut a xorb at 64 MiB of raw bytes; incompressible chunks are sent plain, with a header each.
MAX_XORB_BYTES = (64 << 20) + MAX_CHUNKS * HEADER_SIZE

HEADER = struct.Struct("<II")
ENTRY = struct.Struct("<32sII")


PIECE = 1 << 20


class Source(Protocol):
    """A stream of bytes; a read may return fewer than asked for, and returns none at the end."""

    def read(self, size: int, /) -> bytes: ...


class Chunk(NamedTuple):
    """One chunk: `stored` is header and data as sent, `raw` what it unpacks to (at most 128 KiB)."""

    stored: memoryview
    raw: Bytes


class Span(NamedTuple):
    """Chunks that follow each other, and the bytes of all of them as sent."""

    stored: memoryview
    chunks: list[Chunk]


def read_exactly(source: Source, size: int) -> bytes:
    """Read `size` bytes, or as many as there are before the end."""
    data = source.read(size)
    while 0 < len(data) < size:
        more = source.read(size - len(data))
        if not more:
            break
        data += more
    return data


def read_spans(source: Source) -> Iterator[Span]:
    """Yield the chunks of a xorb as they arrive, grouped by pieces of 1 MiB; memory is two pieces.

    Raises XorbInvalid for anything that the format forbids, such as bytes after the last chunk.
    """
    total, number, rest = 0, 0, b""
    while piece := rest or source.read(PIECE):
        chunks = list(_whole(memoryview(piece), number))
        size = sum(len(chunk.stored) for chunk in chunks)
        number += len(chunks)
        total += size
        if total > MAX_XORB_BYTES:
            raise XorbInvalid(f"The xorb is larger than {MAX_XORB_BYTES:,} bytes: 64 MiB and its chunks' headers.")
        if chunks:
            yield Span(memoryview(piece)[:size], chunks)
        # Only the chunk that continues in the next piece is copied; the rest of it is read separately.
        rest = _completed(piece[size:], source, number) if size < len(piece) else b""


def _whole(piece: memoryview, number: int) -> Iterator[Chunk]:
    """Yield the chunks that lie completely in a piece."""
    at = 0
    while at + HEADER_SIZE <= len(piece):
        if number >= MAX_CHUNKS:
            raise XorbInvalid(f"The xorb has more than {MAX_CHUNKS:,} chunks.")
        packed_size, scheme, raw_size = _header(piece, at, number)
        end = at + HEADER_SIZE + packed_size
        if end > len(piece):
            return
        unpack = SCHEMES.get(scheme)
        if unpack is None:
            raise XorbInvalid(f"Chunk {number} uses compression scheme {scheme}; supported are 0, 1 and 2.")
        raw = unpack(piece[at + HEADER_SIZE : end], raw_size)
        if len(raw) != raw_size:
            raise XorbInvalid(f"Chunk {number} does not unpack to the announced {raw_size} bytes.")
        yield Chunk(piece[at:end], raw)
        number += 1
        at = end


def plain_header(raw_size: int) -> bytes:
    """Return the header of a chunk that is not packed."""
    return HEADER.pack(raw_size << 8, raw_size << 8)


def plain_chunks(source: Source, sizes: Iterable[int]) -> Iterator[bytes]:
    """Yield chunks of these raw sizes as a xorb has them, not packed, in pieces of about 1 MiB.

    `source` has their raw bytes; where it ends early, so does this.
    """
    waiting, left = list[bytes](), PIECE
    for size in sizes:
        waiting += plain_header(size), read_exactly(source, size)
        left -= size
        if left <= 0:
            yield b"".join(waiting)
            waiting, left = [], PIECE
    yield b"".join(waiting)


def _header(piece: Bytes, at: int, number: int) -> tuple[int, int, int]:
    """Return a chunk's stored size in bytes, its scheme, and its promised raw size in bytes."""
    first, second = HEADER.unpack_from(piece, at)
    version, packed_size = first & 255, first >> 8
    scheme, raw_size = second & 255, second >> 8
    if version != 0:
        raise XorbInvalid(f"Chunk {number} has version {version}; only version 0 is known.")
    if not 0 < raw_size <= MAX_CHUNK_BYTES or not 0 < packed_size <= 2 * MAX_CHUNK_BYTES:
        raise XorbInvalid(f"Chunk {number} says {packed_size} bytes that unpack to {raw_size}; the limit is 128 KiB.")
    return packed_size, scheme, raw_size


def _completed(begun: bytes, source: Source, number: int) -> bytes:
    """Return the complete chunk of which a piece held the beginning."""
    if len(begun) < HEADER_SIZE:
        begun += read_exactly(source, HEADER_SIZE - len(begun))
    if len(begun) < HEADER_SIZE:
        raise XorbInvalid(f"The xorb is truncated in the header of chunk {number}.")
    size = HEADER_SIZE + _header(begun, 0, number)[0]
    begun += read_exactly(source, size - len(begun))
    if len(begun) < size:
        raise XorbInvalid(f"The xorb is truncated in chunk {number}.")
    return begun


def _plain(packed: memoryview, raw_size: int) -> memoryview:
    return packed


def _lz4(packed: memoryview, raw_size: int) -> bytes:
    """Unpack one LZ4 frame that must end with the data; unpacks at most one byte too many."""
    decompressor = lz4.frame.LZ4FrameDecompressor()
    try:
        raw: bytes = decompressor.decompress(packed, max_length=raw_size + 1)
    except RuntimeError as error:
        raise XorbInvalid(f"A chunk is not a valid LZ4 frame: {error}.") from None
    if not decompressor.eof or decompressor.unused_data:
        raise XorbInvalid("A chunk is not exactly one LZ4 frame.")
    return raw


def _grouped_lz4(packed: memoryview, raw_size: int) -> bytes:
    return ungroup(_lz4(packed, raw_size))


SCHEMES: dict[int, Callable[[memoryview, int], Bytes]] = {0: _plain, 1: _lz4, 2: _grouped_lz4}


def ungroup(grouped: bytes) -> bytes:
    """Undo byte grouping by four: all first bytes, all second bytes, … become the original order."""
    raw, at = bytearray(len(grouped)), 0
    for plane in range(4):
        size = (len(grouped) - plane + 3) // 4
        raw[plane::4] = grouped[at : at + size]
        at += size
    return bytes(raw)


class VerifiedXorb:
    """A xorb on its way into the store: iterating yields the stored form, and raises XorbInvalid for anything wrong.

    The hash can only be compared after the last byte, so a writer must drop its bytes when this raises. Afterwards
    `index_size` is the length of the index in bytes, which follows the chunks.
    """

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self._name = name
        self._expected = parse_hash(name)
        self.index_size = 0

    def __iter__(self) -> Iterator[Bytes]:
        tree, index, end = Merkle(), bytearray(), 0
        for span in read_spans(self._source):
            for chunk in span.chunks:
                digest = hash_chunk(chunk.raw)
                tree.add(digest, len(chunk.raw))
                end += len(chunk.stored)
                index += ENTRY.pack(digest, end, len(chunk.raw))
            yield span.stored
        if not index:
            raise XorbInvalid("The xorb is empty.")
        if (root := tree.root()) != self._expected:
            raise XorbInvalid(f"The bytes hash to {to_text(root)}, not to {self._name}.")
        self.index_size = len(index)
        yield bytes(index)


class Index:
    """The chunks of a stored xorb, without their bytes."""

    def __init__(self, table: bytes) -> None:
        self._table = table
        self.count = len(table) // ENTRY.size

    @property
    def table(self) -> bytes:
        """The index as it is stored."""
        return self._table

    def _entry(self, number: int) -> tuple[bytes, int, int]:
        digest, end, raw_size = ENTRY.unpack_from(self._table, number * ENTRY.size)
        return digest, end, raw_size

    def __contains__(self, digest: bytes) -> bool:
        """Return whether one of the chunks has this hash."""
        at = self._table.find(digest)
        while at >= 0 and at % ENTRY.size:  # a match across two entries is chance: search on
            at = self._table.find(digest, at + 1)
        return at >= 0

    def only(self, spans: Iterable[tuple[int, int]]) -> "Index":
        """Return a copy with random hashes and sizes for all chunks outside of these [start, end)."""
        visible = {number for start, end in spans for number in range(start, end)}
        table = bytearray(self._table)
        for number in set(range(self.count)) - visible:
            at = number * ENTRY.size
            ENTRY.pack_into(table, at, secrets.token_bytes(SIZE), self._entry(number)[1], 1)
        return Index(bytes(table))

    def chunks(self, start: int, end: int) -> Iterator[tuple[bytes, int]]:
        """Yield (hash, raw size in bytes) of the chunks [start, end)."""
        for number in range(start, end):
            digest, _, raw_size = self._entry(number)
            yield digest, raw_size

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the byte range that holds the chunks [start, end) as they were sent."""
        return (self._entry(start - 1)[1] if start else 0), self._entry(end - 1)[1]

    def plain_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the byte range that holds the chunks [start, end) of the same xorb with no chunk packed."""
        first = sum(HEADER_SIZE + size for _, size in self.chunks(0, start))
        return first, first + sum(HEADER_SIZE + size for _, size in self.chunks(start, end))

    def is_of(self, name: str) -> bool:
        """Return whether these are the chunks of the xorb with this hash (text form)."""
        return to_text(hash_xorb(self.chunks(0, self.count))) == name
