"""Who may use which bytes: knowing a digest gives no right to them; having delivered or reading them does."""

from collections.abc import Iterable

from registry import pull
from registry.models import Adapter, Blob
from registry.policy import Caller


def usable(adapter: Adapter, digests: Iterable[str], by: Caller) -> dict[str, int]:
    """Return sha256 → size in bytes of those blobs that this caller may link into this adapter; two queries at most.

    Either the bytes were delivered to this adapter, or the caller can download them from another one now.
    """
    wanted = set(digests)
    if not wanted:
        return {}
    blobs = Blob.objects.filter(sha256__in=wanted)
    found = dict(blobs.filter(possessions__adapter=adapter).values_list("sha256", "size"))
    if elsewhere := wanted - found.keys():
        readable = pull.downloadable(by).filter(blob__in=elsewhere)
        found.update(readable.values_list("blob_id", "blob__size").distinct())
    return found
