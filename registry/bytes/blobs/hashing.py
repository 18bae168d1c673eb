"""Compute digests, in another thread while the same bytes are written."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

Bytes = bytes | memoryview  # of an unchanging buffer
BATCH, MOST_PIECES = 512 << 10, 4096  # bytes; fewer are hashed sooner than another thread wakes up


@dataclass(frozen=True)
class Digest:
    """The sha256 and size in bytes that the hub itself computed."""

    sha256: str
    size: int


class Hasher:
    """Computes a Digest over a stream."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._size = 0

    def update(self, *pieces: Bytes) -> None:
        """Take in the next bytes."""
        for piece in pieces:
            self._sha256.update(piece)
            self._size += len(piece)

    def digest(self) -> Digest:
        """Return the digest of everything taken in so far."""
        return Digest(self._sha256.hexdigest(), self._size)


def digest_of(data: Bytes) -> Digest:
    """Return the digest of bytes in memory."""
    return Digest(hashlib.sha256(data).hexdigest(), len(data))


def hash_through(pieces: Iterable[Bytes], hasher: Hasher) -> Iterator[Bytes]:
    """Yield the same pieces, which must not change afterwards; `hasher` has taken in all of them at the end.

    Batches are hashed while the caller writes them and receives the next ones, which takes about as long. At most one
    batch waits, so memory stays at two batches.
    """
    with ThreadPoolExecutor(1) as thread:  # its thread starts with the first batch
        before: Future[None] | None = None
        batch: list[Bytes] = []
        waiting = 0  # bytes in it; counted as they come: there may be as many pieces as bytes
        for piece in pieces:
            batch.append(piece)
            waiting += len(piece)
            if waiting >= BATCH or len(batch) >= MOST_PIECES:
                if before:
                    before.result()
                before = thread.submit(hasher.update, *batch)
                batch, waiting = [], 0
            yield piece
        if before:
            before.result()
        hasher.update(*batch)
