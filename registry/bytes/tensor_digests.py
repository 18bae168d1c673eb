"""Digests of the tensors in a file, by which a blocked file is known again after somebody has saved it again.

Names, order, metadata and alignment do not count, values, dtypes and shapes do. A push leaves a row for each new
safetensors file, and a derived safetensors file one for its pickle; workers compute the digests.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from dovetail.adapters.files.header import Header
from registry.bytes import search_turns
from registry.models import TensorDigest
from registry.sql.prepared import insert_rows

logger = logging.getLogger(__name__)
LEASE = timedelta(minutes=10)
MAX_ATTEMPTS = 5  # after that the file counts as one without tensors: it is lost, or reading it ends the worker
PIECE = 1 << 20


def enqueue(files: Mapping[str, str], author: int = 0) -> None:
    """Create a job for each safetensors file (path → sha256) that has no row yet; one query."""
    enqueue_digests({sha256 for path, sha256 in files.items() if path.endswith(".safetensors")}, author)


def enqueue_digests(files: Iterable[str], author: int = 0) -> None:
    """Create a job for each of these files (sha256) that has no row yet; `author` pushed them."""
    insert_rows([TensorDigest(file=sha256, author=author) for sha256 in sorted(files)], ignore_conflicts=True)


def claim() -> TensorDigest | None:
    """Claim the next file, and its author's turn; a worker that dies gives both back when the lease ends.

    A file that was claimed MAX_ATTEMPTS times is given up.
    """
    waiting = TensorDigest.objects.filter(sha256__isnull=True)
    while (row := search_turns.claim(waiting, "author", lambda row: LEASE)) and row.attempts >= MAX_ATTEMPTS:
        logger.error("Tensors could not be read in %s attempts.", row.attempts, extra={"sha256": row.file})
        finish(row, "")
        search_turns.give_back(row.author)
    return row


def postpone(row: TensorDigest) -> None:
    """Leave a claimed file for the end of its lease without counting the attempt: the store did not answer."""
    TensorDigest.objects.filter(pk=row.pk, sha256__isnull=True).update(attempts=row.attempts)


def finish(row: TensorDigest, sha256: str) -> None:
    """Record the digest of a file; it is empty for one without tensors."""
    TensorDigest.objects.filter(pk=row.pk).update(sha256=sha256, free_at=None)


def compute(header: Header, read: Callable[[int], bytes]) -> str:
    """Return the digest of a file's tensors; `read` reads on from the end of its header."""
    lines = []
    for tensor in sorted(header.tensors.values(), key=lambda tensor: tensor.offset):
        hasher, left = hashlib.sha256(), tensor.size
        while left and (piece := read(min(left, PIECE))):
            hasher.update(piece)
            left -= len(piece)
        lines.append(f"{tensor.dtype} {list(tensor.shape)} {hasher.hexdigest()}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest() if lines else ""


def known(file: str) -> str:
    """Return the digest of a file's tensors, empty while it is not known or where it has none."""
    return TensorDigest.objects.filter(pk=file, sha256__isnull=False).values_list("sha256", flat=True).first() or ""


def files_with(sha256: str) -> list[str]:
    """Return the files (sha256) that hold the tensors of this digest."""
    return list(TensorDigest.objects.filter(sha256=sha256).values_list("file", flat=True)) if sha256 else []
