"""Cuts large files that arrived whole into chunks, with low priority, so that Xet clients can read them.

The indexes of the xorbs are stored first, then the row that describes the file by them: a process that is killed in
between leaves indexes that expire like any others, and that the next attempt finds. The chunks stay in the file.
"""

import logging
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from registry.bytes import blobs, chunking_jobs, cold_xorbs, xet_files, xorbs
from registry.bytes.blobs import BlobMissing, Digest, Hasher, Keys
from registry.bytes.xorbs import Term, hashes
from registry.kernel.errors import DigestMismatch, StoreUnavailable
from registry.models import Blob, ChunkingJob

logger = logging.getLogger(__name__)

SECONDS = 20  # after that no file is begun: the others wait for the next tick
SPAN = 64 << 20  # bytes of one request to the store: a request for gigabytes would stay open too long


def work() -> None:
    """Cut the files that wait, one after the other; a file that fails waits longer each time."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and (row := chunking_jobs.claim()):
        try:
            land(row)
        except (BlobMissing, DigestMismatch, StoreUnavailable) as problem:
            logger.warning("A file was not cut: %s", problem, extra={"sha256": row.sha256, "attempts": row.attempts})


def land(row: ChunkingJob) -> None:
    """Cut one file, unless it is gone or Xet clients can read it already.

    Raises BlobMissing, DigestMismatch and StoreUnavailable; then the file waits as before.
    """
    blob = Blob.objects.filter(pk=row.sha256, size__gt=0).first()  # an empty file has no chunks
    if blob is None or xet_files.readable_file_ids([row.sha256]):
        chunking_jobs.finish(row)
    else:
        chunking_jobs.finish(row, _in_pieces(blob, lambda: chunking_jobs.keep_alive(row)))


def _in_pieces(blob: Blob, keep_alive: Callable[[], None]) -> xorbs.File:
    cutting = import_module("registry.bytes.xorbs.chunking")  # here: numpy takes 14 MB, and most hubs cut rarely
    hasher, tree, terms, filling = Hasher(), hashes.Merkle(), list[Term](), cutting.XorbBuilder()
    for chunk in cutting.cut_chunks(_bytes(blob)):
        if not filling.has_room():
            terms.append(_kept(filling))
            filling = cutting.XorbBuilder()
            keep_alive()
        hasher.update(chunk)
        tree.add(filling.add(chunk), len(chunk))
    terms.append(_kept(filling))
    if hasher.digest() != Digest(blob.sha256, blob.size):
        raise DigestMismatch(f"The store holds other bytes than {blob.sha256}.")
    return xorbs.File(tree.file_id(), blob.sha256, terms)


def _bytes(blob: Blob) -> Iterator[bytes]:
    key = Keys.blob(blob.sha256)
    for at in range(0, blob.size, SPAN):
        yield from blobs.pieces(blobs.store().open(key, at, min(at + SPAN, blob.size)))


def _kept(filling: Any) -> Term:
    name, index = filling.finish()
    cold_xorbs.record(name, index)
    return Term(name, 0, filling.count, filling.size, b"")
