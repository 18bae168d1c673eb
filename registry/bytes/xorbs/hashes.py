"""Xet's hashes: chunks, the Merkle root over them, file ids and range proofs. Arithmetic only; nothing is parsed here.

Source: huggingface/hub-docs, docs/xet/hashing.md; how children are grouped: xet-core, aggregated_hashes.rs.
"""

import re
from collections.abc import Iterable

from blake3 import blake3

from registry.kernel.errors import XorbInvalid

SIZE = 32
DATA_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
NODE_KEY = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
RANGE_KEY = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
FILE_KEY = bytes(SIZE)

SMALLEST_GROUP, LARGEST_GROUP, BRANCHING = 3, 9, 4


def to_text(raw: bytes) -> str:
    """Return the text form of a 32-byte hash: four little-endian 64-bit words as hex, not the bytes in order."""
    return "".join(raw[at : at + 8][::-1].hex() for at in range(0, SIZE, 8))


def parse_hash(name: str) -> bytes:
    """Return the 32 bytes behind the text form. Raises XorbInvalid for anything but 64 lower-case hex digits."""
    if not re.fullmatch(r"[0-9a-f]{64}", name):
        raise XorbInvalid(f"{name[:80]!r} is not a Xet hash: those are 64 lower-case hex digits.")
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
    divisible by four. What is left over at the end of a level is a group too.
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
