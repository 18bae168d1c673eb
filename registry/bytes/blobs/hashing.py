"""Digests that we compute ourselves, beside the writing of the same bytes where they are many."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

Bytes = bytes | memoryview  # that nobody changes any more
BATCH, MOST_PIECES = 512 << 10, 4096  # bytes; fewer are hashed sooner than another thread wakes up


@dataclass(frozen=True)
class Digest:
    """What we computed over bytes ourselves; `size` in bytes."""

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
    """Return the digest of bytes that are all here."""
    return Digest(hashlib.sha256(data).hexdigest(), len(data))


def hash_through(pieces: Iterable[Bytes], hasher: Hasher) -> Iterator[Bytes]:
    """Yield the same pieces, which nobody may change afterwards; `hasher` has taken in all of them when this ends.

    Large ones, or many, are hashed while they are written and the next ones received, which takes about as long. Never
    more than one batch waits, so memory stays at two.
    """
    with ThreadPoolExecutor(1) as aside:  # its thread starts with the first batch
        before: Future[None] | None = None
        batch: list[Bytes] = []
        waiting = 0  # bytes in it; counted as they come: there may be as many pieces as bytes
        for piece in pieces:
            batch.append(piece)
            waiting += len(piece)
            if waiting >= BATCH or len(batch) >= MOST_PIECES:
                if before:
                    before.result()
                before = aside.submit(hasher.update, *batch)
                batch, waiting = [], 0
            yield piece
        if before:
            before.result()
        hasher.update(*batch)
