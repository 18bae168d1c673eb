"""Who may use which bytes: knowing a digest gives no right to them; having delivered or reading them does."""

from collections.abc import Iterable

from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.models import Blob, Repository, RevisionFile
from registry.repos import pull


def usable_blobs(repository: Repository, digests: Iterable[str], by: Caller) -> dict[str, int]:
    """Return sha256 → size in bytes of those blobs that this caller may link into this adapter; a few queries.

    Either the bytes were delivered to this adapter, or the caller can download them from another one now. Of what a
    quarantine or a gate holds back here, who may not write here cannot make a proposal by its digest.
    """
    wanted = set(digests)
    if not wanted:
        return {}
    blobs = Blob.objects.filter(sha256__in=wanted)
    found = dict(blobs.filter(uploaded_to__repository=repository).values_list("sha256", "size"))
    if found and not policy.may_write(by, repository):
        held = _held_back(repository, found, by)
        found = {sha256: size for sha256, size in found.items() if sha256 not in held}
    if elsewhere := wanted - found.keys():
        readable = pull.downloadable(by).filter(blob__in=elsewhere)
        found.update(readable.values_list("blob_id", "blob__size").distinct())
    return found


def _held_back(repository: Repository, digests: Iterable[str], by: Caller) -> set[str]:
    """Return those that revisions of this adapter name and the caller may not have, but for what he brought himself.

    A gate stands before files, and not before what cards and configs say: as one of those a proposal would show them.
    """
    rows = RevisionFile.objects.filter(revision__repository=repository, blob__in=list(digests))
    named = set(rows.values_list("blob_id", flat=True).distinct())
    if not named:
        return named
    free = pull.downloadable(by).filter(revision__repository=repository, blob__in=named)
    his = rows.filter(revision__author=by.user, revision__quarantined_at__isnull=True)
    return named - {sha256 for one in (free, his) for sha256 in one.values_list("blob_id", flat=True).distinct()}
