"""Xorbs and shards made by hand, right ones and forged ones; the real client's are in data/ and in test_live.py."""

import hashlib
import random
from dataclasses import dataclass, field
from typing import Any

import lz4.frame

from features.xet.xorbs import chunks
from features.xet.xorbs.shards import BOOKEND, FOUR_NUMBERS, HAS_METADATA, HAS_PROOFS, HEADER, TAG, VERSION

END = BOOKEND + bytes(16)


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def grouped(raw: bytes) -> bytes:
    return b"".join(raw[plane::4] for plane in range(4))


def chunk(raw: bytes, scheme: int = 0, **header: int) -> bytes:
    packed = {0: lambda: raw, 1: lambda: lz4.frame.compress(raw), 2: lambda: lz4.frame.compress(grouped(raw))}[scheme]()
    told: dict[str, Any] = {"version": 0, "packed_size": len(packed), "scheme": scheme, "raw_size": len(raw)} | header
    return (
        bytes([told["version"]])
        + told["packed_size"].to_bytes(3, "little")
        + bytes([told["scheme"]])
        + told["raw_size"].to_bytes(3, "little")
        + packed
    )


def split(data: bytes, size: int = 50_000) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@dataclass
class Xorb:
    """A right xorb of these chunks."""

    raws: list[bytes]
    scheme: int = 0
    leaves: list[tuple[bytes, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.leaves = [(chunks.hash_chunk(raw), len(raw)) for raw in self.raws]

    @property
    def raw_hash(self) -> bytes:
        return chunks.hash_xorb(self.leaves)

    @property
    def name(self) -> str:
        return chunks.to_text(self.raw_hash)

    @property
    def data(self) -> bytes:
        return b"".join(chunk(raw, self.scheme) for raw in self.raws)

    def term(self, start: int = 0, end: int | None = None, **forged: object) -> dict[str, object]:
        end = len(self.raws) if end is None else end
        known = self.leaves[start:end]
        right = {
            "xorb": self.raw_hash,
            "flags": 0,
            "size": sum(size for _, size in known),
            "start": start,
            "end": end,
            "proof": chunks.hash_range(b"".join(digest for digest, _ in known)),
            "leaves": known,
        }
        return right | forged


def file_record(content: bytes, terms: list[dict], **forged: object) -> bytes:
    """The records of one file; keyword arguments replace what would be right."""
    tree = chunks.Merkle()
    for term in terms:
        for digest, size in term["leaves"]:
            tree.add(digest, size)
    told: dict[str, Any] = {
        "file_id": tree.file_id(),
        "flags": HAS_PROOFS | HAS_METADATA,
        "count": len(terms),
        "sha256": hashlib.sha256(content).digest(),
    } | forged
    records = FOUR_NUMBERS.pack(told["file_id"], told["flags"], told["count"], 0, 0)
    for term in terms:
        records += FOUR_NUMBERS.pack(term["xorb"], term["flags"], term["size"], term["start"], term["end"])
    if told["flags"] & HAS_PROOFS:
        records += b"".join(term["proof"] + bytes(16) for term in terms)
    if told["flags"] & HAS_METADATA:
        records += chunks.parse_hash(told["sha256"].hex()) + bytes(16)
    return records


def xorb_record(xorb: Xorb) -> bytes:
    records = FOUR_NUMBERS.pack(xorb.raw_hash, 0, len(xorb.raws), sum(len(raw) for raw in xorb.raws), len(xorb.data))
    at = 0
    for digest, size in xorb.leaves:
        records += FOUR_NUMBERS.pack(digest, at, size, 0, 0)
        at += size
    return records


def shard(
    files: list[bytes], xorbs: list[Xorb] = (), *, tag: bytes = TAG, version: int = VERSION, footer: int = 0
) -> bytes:
    records = b"".join(xorb_record(xorb) for xorb in xorbs)
    return HEADER.pack(tag, version, footer) + b"".join(files) + END + records + END


def whole(content: bytes, scheme: int = 0, **forged: object) -> tuple[Xorb, bytes]:
    """A xorb and a shard that upload one file with this content."""
    xorb = Xorb(split(content), scheme)
    return xorb, shard([file_record(content, [xorb.term()], **forged)], [xorb])
