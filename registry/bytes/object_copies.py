"""Work on many objects of the store at a time, without the database: in parallel, and checks of what they hold."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeVar

from registry.bytes.blobs import BlobMissing, BlobStore, Digest, Hasher, Keys, pieces

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


def different(digests: Iterable[Digest], store: BlobStore) -> Iterator[tuple[str, str]]:
    """Hash the stored bytes again; yield (sha256, problem) of each object that is not what its name says."""
    yield from problems(partial(_difference, store=store), digests)


def problems(work: Callable[[Digest], str], digests: Iterable[Digest]) -> Iterator[tuple[str, str]]:
    """Yield (sha256, problem) of each object in which `work` finds one."""

    def checked(digest: Digest) -> tuple[str, str]:
        return digest.sha256, work(digest)

    return (result for result in in_parallel(checked, digests) if result[1])


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
