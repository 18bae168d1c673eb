"""Who may use which bytes: knowing a digest gives no right to them; having delivered or reading them does."""

from collections.abc import Iterable

from registry import policy, pull
from registry.models import Adapter, Blob, RevisionFile
from registry.policy import Caller


def usable(adapter: Adapter, digests: Iterable[str], by: Caller) -> dict[str, int]:
    """Return sha256 → size in bytes of those blobs that this caller may link into this adapter; a few queries.

    Either the bytes were delivered to this adapter, or the caller can download them from another one now. What a
    quarantine holds back here, who may not write here cannot bring back by its digest.
    """
    wanted = set(digests)
    if not wanted:
        return {}
    blobs = Blob.objects.filter(sha256__in=wanted)
    found = dict(blobs.filter(possessions__adapter=adapter).values_list("sha256", "size"))
    if found and not policy.may_write(by, adapter):
        held = _held_back(adapter, found)
        found = {sha256: size for sha256, size in found.items() if sha256 not in held}
    if elsewhere := wanted - found.keys():
        readable = pull.downloadable(by).filter(blob__in=elsewhere)
        found.update(readable.values_list("blob_id", "blob__size").distinct())
    return found


def _held_back(adapter: Adapter, digests: Iterable[str]) -> set[str]:
    """Return those of the digests that quarantined revisions of this adapter name, and no others."""
    rows = RevisionFile.objects.filter(revision__adapter=adapter, blob__in=list(digests))
    held = set(rows.filter(revision__quarantined_at__isnull=False).values_list("blob_id", flat=True).distinct())
    if held:
        held -= set(rows.filter(revision__quarantined_at__isnull=True, blob__in=held).values_list("blob_id", flat=True))
    return held
