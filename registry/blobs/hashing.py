"""Digests that we compute ourselves, beside the writing of the same bytes where they are many."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

WORTH_A_THREAD = 256 << 10  # bytes; smaller pieces are hashed sooner than another thread wakes up


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

    def update(self, piece: bytes) -> None:
        """Take in the next bytes."""
        self._sha256.update(piece)
        self._size += len(piece)

    def digest(self) -> Digest:
        """Return the digest of everything taken in so far."""
        return Digest(self._sha256.hexdigest(), self._size)


def hashed(pieces: Iterable[bytes], hasher: Hasher) -> Iterator[bytes]:
    """Yield the same pieces; `hasher` has taken in all of them when this ends.

    A large piece is hashed while it is written and the next one received, which takes about as long. Never more than
    one waits, so memory stays at two pieces.
    """
    with ThreadPoolExecutor(1) as aside:  # its thread starts with the first task
        before: Future[None] | None = None
        for piece in pieces:
            if before:
                before.result()
                before = None
            if len(piece) < WORTH_A_THREAD:
                hasher.update(piece)
            else:
                before = aside.submit(hasher.update, piece)
            yield piece
        if before:
            before.result()
