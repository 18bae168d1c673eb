"""The bytes of a shard: the uploaded files and the chunks they are made of. Nothing read here is believed yet.

Format: huggingface/hub-docs, docs/xet/shard.md. A shard is a list of 48-byte records after a 48-byte header.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from features.xet.xorbs import chunks
from features.xet.xorbs.chunks import MAX_CHUNKS, MAX_XORB_BYTES, Index, ShardInvalid, Source, read_exactly

MAX_SHARD_BYTES = 64 << 20

TAG = b"HFRepoMetaData\0" + bytes([85, 105, 103, 69, 106, 123, 129, 87, 131, 165, 189, 217, 92, 205, 209, 74, 169])
VERSION = 2
RECORD = 48
PIECE = RECORD << 10
BOOKEND = b"\xff" * chunks.SIZE
HAS_PROOFS, HAS_METADATA = 1 << 31, 1 << 30

HEADER = struct.Struct("<32sQQ")
FOUR_NUMBERS = struct.Struct("<32sIIII")
# Version; where files and xorbs begin; three tables; no key; made at, good until; sums; where it begins.
# The specification calls the tables reserved; hf_xet reads up to where the first one begins.
FOOTER = struct.Struct("<QQQ6Q32xQQ72xQ")
FOOTER_VERSION = 1


@dataclass(frozen=True, slots=True)
class Term:
    """Chunks [start, end) of one xorb; `size` raw bytes. `proof` shows that the uploader knows those chunks."""

    xorb: str
    start: int
    end: int
    size: int
    proof: bytes


@dataclass(frozen=True, slots=True)
class File:
    """One file as the uploader describes it: its terms in order, and the claimed sha256."""

    file_id: bytes
    sha256: str
    terms: list[Term]

    @property
    def size(self) -> int:
        """The claimed size in bytes."""
        return sum(term.size for term in self.terms)


@dataclass(frozen=True, slots=True)
class Shard:
    """The files of a shard, and the names of xorbs that its second section lists."""

    files: list[File]
    xorbs: list[str]


class _Records:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = MAX_SHARD_BYTES
        self._piece, self._at = b"", 0

    def read(self) -> bytes:
        if len(self._piece) - self._at < RECORD:
            self._piece, self._at = self._piece[self._at :] + read_exactly(self._source, PIECE), 0
        record = self._piece[self._at : self._at + RECORD]
        self._at += len(record)
        self._left -= RECORD
        if len(record) < RECORD:
            raise ShardInvalid("The shard ends before it is complete.")
        if self._left < 0:
            raise ShardInvalid(
                f"The shard is larger than {MAX_SHARD_BYTES >> 20} MiB; split the files into several shards."
            )
        return record

    def has_more(self) -> bool:
        return self._at < len(self._piece) or bool(self._source.read(1))

    def until_bookend(self) -> Iterator[bytes]:
        while (record := self.read())[: chunks.SIZE] != BOOKEND:
            yield record
        if record[chunks.SIZE :] != bytes(RECORD - chunks.SIZE):
            raise ShardInvalid("The end mark of a section is damaged.")


def parse_shard(source: Source) -> Shard:
    """Parse a shard as it is uploaded (without footer). Raises ShardInvalid for anything that the format forbids.

    Memory grows with the number of terms (about 48 bytes of shard each), not with the size of the files.
    """
    records = _Records(source)
    tag, version, footer_size = HEADER.unpack(records.read())
    if tag != TAG or version != VERSION:
        raise ShardInvalid("This is not a shard of version 2.")
    if footer_size:
        raise ShardInvalid("An uploaded shard has no footer.")
    shard = Shard(
        files=[_file(records, record) for record in records.until_bookend()],
        xorbs=[_xorb(records, record) for record in records.until_bookend()],
    )
    if records.has_more():
        raise ShardInvalid("There are bytes after the end of the shard.")
    return shard


def _file(records: _Records, record: bytes) -> File:
    file_id, flags, count, _, _ = FOUR_NUMBERS.unpack(record)
    name = chunks.to_text(file_id)
    if flags & ~(HAS_PROOFS | HAS_METADATA):
        raise ShardInvalid(f"File {name} has unknown flags {flags:#x}.")
    if not flags & HAS_PROOFS:
        raise ShardInvalid(f"File {name} has no verification entries, which prove that you have its bytes.")
    if not flags & HAS_METADATA:
        raise ShardInvalid(f"File {name} has no sha256.")
    if not count:
        raise ShardInvalid(f"File {name} has no content.")
    # Lists, not generators: all terms come first, then all proofs.
    terms = [records.read() for _ in range(count)]
    proofs = [records.read()[: chunks.SIZE] for _ in range(count)]
    sha256 = chunks.to_text(records.read()[: chunks.SIZE])  # in Xet's word order, like every hash here
    return File(file_id, sha256, [_term(term, proof) for term, proof in zip(terms, proofs, strict=True)])


def _term(record: bytes, proof: bytes) -> Term:
    xorb, flags, size, start, end = FOUR_NUMBERS.unpack(record)
    if flags:
        raise ShardInvalid(f"A term has unknown flags {flags:#x}.")
    if not start < end <= MAX_CHUNKS:
        raise ShardInvalid(f"A term has an invalid range of chunks, {start} to {end}.")
    return Term(chunks.to_text(xorb), start, end, size, proof)


def _xorb(records: _Records, record: bytes) -> str:
    """Skip over one xorb's description: we keep our own, made from its bytes."""
    name, _, count, _, stored_size = FOUR_NUMBERS.unpack(record)
    if not 0 < count <= MAX_CHUNKS or stored_size > MAX_XORB_BYTES:
        raise ShardInvalid(f"Xorb {chunks.to_text(name)} is described as larger than the limit of a xorb.")
    for _ in range(count):
        records.read()
    return chunks.to_text(name)


def build_shard(xorbs: Mapping[str, Index], made_at: int, good_until: int) -> bytes:
    """Return a shard that names these xorbs and their chunks, and no files; the times are Unix seconds.

    It answers a request about one chunk, so it has a footer. Chunk hashes are written as they are: those that the
    client may not know were replaced before by Index.only (registry/repos/downloads.py).
    """
    head = HEADER.pack(TAG, VERSION, FOOTER.size) + BOOKEND + bytes(RECORD - chunks.SIZE)
    body = b"".join(_described(name, index) for name, index in xorbs.items()) + BOOKEND + bytes(RECORD - chunks.SIZE)
    at = len(head) + len(body)
    return (
        head + body + FOOTER.pack(FOOTER_VERSION, HEADER.size, len(head), at, 0, at, 0, at, 0, made_at, good_until, at)
    )


def _described(name: str, index: Index) -> bytes:
    records, at = [], 0
    for digest, size in index.chunks(0, index.count):
        records.append(FOUR_NUMBERS.pack(digest, at, size, 0, 0))
        at += size
    stored = index.span(0, index.count)[1]
    return FOUR_NUMBERS.pack(chunks.parse_hash(name), 0, index.count, at, stored) + b"".join(records)
