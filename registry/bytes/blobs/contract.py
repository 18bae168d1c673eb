"""The interface of a blob store with its errors, and digests of bytes while they are written; drivers are beside it."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self

from django.dispatch import Signal

Bytes = bytes | memoryview  # of an unchanging buffer
BATCH, MOST_PIECES = 512 << 10, 4096  # bytes; fewer are hashed sooner than another thread wakes up
called = Signal()  # across the network; seconds: float; outcome: "answered", "silent", or "refused" without a call


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


def digest_of_file(path: Path) -> Digest:
    """Return the digest of a file on this machine."""
    with path.open("rb") as reader:
        return Digest(hashlib.file_digest(reader, "sha256").hexdigest(), reader.tell())


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


class BlobMissing(LookupError):
    """There is no object under this key."""


class BytesChanged(Exception):
    """The staged object is not the one that was hashed: it was replaced in between."""


class Reader(Protocol):
    """An open object. `version` identifies its exact bytes, so that a later `promote` can require them."""

    version: str

    def read(self, size: int = -1, /) -> bytes: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...


@dataclass(frozen=True)
class Entry:
    """One line of a listing; `size` in bytes, `etag` as the store computed it: on most of S3 the MD5, in hex."""

    key: str
    size: int
    modified_at: datetime
    etag: str = ""


class PartUploads(Protocol):
    """A store that receives one object in parts itself, so that its bytes bypass the web process."""

    def begin(self, key: str) -> str:
        """Begin a multipart upload, and return the store's id of it."""

    def presigned(self, key: str, upload: str, number: int, seconds: int) -> str:
        """Return a URL that takes one PUT of one part; numbers begin at 1, parts but the last have at least 5 MiB."""

    def join(self, key: str, upload: str, etags: Sequence[str]) -> None:
        """Join the parts in order, by the ETags that the store answered for each.

        Raises BytesChanged when a part is missing or has another ETag, BlobMissing when there is no such upload.
        """


class BlobStore(Protocol):
    """A blob store. Every method may raise StoreUnavailable."""

    keeps_headers: bool  # whether objects have headers of their own

    def check(self) -> None:
        """Raise StoreUnavailable unless objects can be read and written now."""

    def put(self, key: str, parts: Iterable[Bytes]) -> bool:
        """Write an object and make it durable; return False if the key is taken.

        `parts` is always consumed; none of them changes afterwards. Nothing appears under the key unless it ends
        without raising, so a caller may verify while it writes. Memory stays below 40 MiB for any size.
        """

    def open(self, key: str, start: int = 0, end: int | None = None) -> Reader:
        """Open bytes [start, end) of an object; BlobMissing when there is none."""

    def size(self, key: str) -> int:
        """Return the size in bytes; BlobMissing when there is none."""

    def promote(self, staged: str, key: str, version: str) -> None:
        """Move a staged object to its believed key, unless that is taken; then only drop the staged one.

        Raises BytesChanged when the staged bytes are no longer those that had `version`, BlobMissing when they
        are gone.
        """

    def delete(self, key: str) -> None:
        """Remove an object; a no-op if there is none."""

    def publish(self, key: str, data: bytes, *, kind: str, cache: str, facts: Mapping[str, str]) -> None:
        """Write a small object, or replace it, for readers of the store itself.

        `kind` and `cache` are its Content-Type and Cache-Control; `facts` become headers `x-amz-meta-NAME` where the
        store `keeps_headers`.
        """

    def share(self, key: str, public_key: str, cache: str) -> None:
        """Let an object be read by a second key too, unless there is one: a link, or a copy inside the store.

        Raises BlobMissing where there is no such object.
        """

    def let_anybody_read(self, prefix: str) -> str:
        """Let anybody read the objects below a prefix, and return the policy that says so; folders raise ValueError."""

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield every object whose key begins with the prefix, in any order."""

    def tidy(self, before: datetime) -> int:
        """Remove unfinished writes that began before that time; return their number."""

    def presigned_get(self, key: str, filename: str, seconds: int) -> str | None:
        """Return a URL that serves the object as a download, or None if bytes must go through the web process."""

    def presigned_put(self, key: str, seconds: int) -> str | None:
        """Return a URL that takes one PUT of the whole object, or None as above."""

    def in_parts(self) -> PartUploads | None:
        """Return the store's own multipart uploads, or None if parts must go through the web process."""

    def local_path(self, key: str) -> Path | None:
        """Return the file that holds the object (for sendfile), or None if there is no file."""
