"""Compare the stored bytes with the rows; nothing is repaired here."""

from collections.abc import Iterator
from itertools import starmap

from registry.bytes import blobs, object_copies
from registry.bytes.blobs import Digest
from registry.models import Blob


def find_differences(sample: int | None = None) -> Iterator[tuple[str, str]]:
    """Hash the stored bytes of every blob, or of a random sample of them; yield (sha256, what is wrong)."""
    rows = Blob.objects.order_by("?")[:sample] if sample is not None else Blob.objects.order_by("sha256")
    digests = starmap(Digest, rows.values_list("sha256", "size").iterator())
    return object_copies.different(digests, blobs.store())
