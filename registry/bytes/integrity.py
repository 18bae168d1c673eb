"""Compare the stored bytes with the rows; nothing is repaired here."""

from collections.abc import Iterator

from registry.bytes import blobs
from registry.bytes.blobs import BlobMissing, Digest, Hasher, Keys
from registry.models import Blob


def find_differences(sample: int | None = None) -> Iterator[tuple[str, str]]:
    """Hash the stored bytes of every blob, or of a random sample of them; yield (sha256, what is wrong)."""
    rows = Blob.objects.order_by("?")[:sample] if sample is not None else Blob.objects.order_by("sha256")
    for sha256, size in rows.values_list("sha256", "size").iterator():
        if problem := _problem(sha256, size):
            yield sha256, problem


def _problem(sha256: str, size: int) -> str:
    hasher = Hasher()
    try:
        for piece in blobs.pieces(blobs.store().open(Keys.blob(sha256))):
            hasher.update(piece)
    except BlobMissing:
        return "there is no such object in the store"
    stored = hasher.digest()
    if stored == Digest(sha256, size):
        return ""
    return f"{stored.size:,} bytes with sha256 {stored.sha256} are stored; the row says {size:,} bytes"
