"""Copies of believed objects in another store, and checks of them; many objects at a time, no rows of the database."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeVar

from registry.bytes.blobs import BlobMissing, BlobStore, Bytes, BytesChanged, Digest, Hasher, Keys, hash_through, pieces

Item = TypeVar("Item")


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of at most `size`."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


Result = TypeVar("Result")

THREADS = 32
BATCH = 2048  # so many items wait at once, however many there are

ABSENT = "there is no such object in the store"


def in_parallel(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield the results in the order of the items; `work` must leave the database alone."""
    with ThreadPoolExecutor(THREADS) as pool:
        for batch in batched(items, BATCH):
            yield from pool.map(work, batch)


def copy(digests: Iterable[Digest], source: BlobStore, target: BlobStore) -> Iterator[tuple[str, str]]:
    """Copy the objects that `target` lacks, hashing them on the way; yield (sha256, problem) of those that failed."""
    yield from _problems(partial(_copy, source=source, target=target), digests)


def missing(digests: Iterable[Digest], store: BlobStore) -> Iterator[tuple[str, str]]:
    """Yield (sha256, problem) of each object that the store does not hold with the right size."""
    yield from _problems(partial(_absence, store=store), digests)


def different(digests: Iterable[Digest], store: BlobStore) -> Iterator[tuple[str, str]]:
    """Hash the stored bytes again; yield (sha256, problem) of each object that is not what its name says."""
    yield from _problems(partial(_difference, store=store), digests)


def copy_audit_heads(source: BlobStore, target: BlobStore) -> None:
    """Copy the daily heads of the audit log that `target` lacks."""
    for entry in source.list(Keys.AUDIT):
        target.put(entry.key, pieces(source.open(entry.key)))


def _problems(work: Callable[[Digest], str], digests: Iterable[Digest]) -> Iterator[tuple[str, str]]:
    def checked(digest: Digest) -> tuple[str, str]:
        return digest.sha256, work(digest)

    return (result for result in in_parallel(checked, digests) if result[1])


def _copy(digest: Digest, source: BlobStore, target: BlobStore) -> str:
    key, absence = Keys.blob(digest.sha256), _absence(digest, target)
    if not absence:
        return ""
    if absence != ABSENT:
        target.delete(key)
    try:
        target.put(key, _whole(digest, source))
    except BlobMissing:
        return ABSENT
    except BytesChanged:
        return "the stored bytes have another sha256"
    return ""


def _whole(digest: Digest, source: BlobStore) -> Iterator[Bytes]:
    """Yield the bytes of an object. Raises BytesChanged at their end, so that nothing wrong is kept."""
    hasher = Hasher()
    yield from hash_through(pieces(source.open(Keys.blob(digest.sha256))), hasher)
    if hasher.digest() != digest:
        raise BytesChanged(digest.sha256)


def _absence(digest: Digest, store: BlobStore) -> str:
    try:
        size = store.size(Keys.blob(digest.sha256))
    except BlobMissing:
        return ABSENT
    return "" if size == digest.size else f"{size:,} bytes are stored, not {digest.size:,}"


def _difference(digest: Digest, store: BlobStore) -> str:
    hasher = Hasher()
    try:
        for piece in pieces(store.open(Keys.blob(digest.sha256))):
            hasher.update(piece)
    except BlobMissing:
        return ABSENT
    stored = hasher.digest()
    if stored == digest:
        return ""
    return f"{stored.size:,} bytes with sha256 {stored.sha256} are stored; the row says {digest.size:,} bytes"
