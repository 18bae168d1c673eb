"""The right to use stored bytes: a digest gives none; delivering them or being able to download them does."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django.db.models import QuerySet

from registry.kernel import policy, site_settings
from registry.kernel.policy import Caller
from registry.models import Blob, Membership, Repository, RevisionFile, User
from registry.repos import pull
from registry.sql.prepared import Prepared


def usable_blobs(repository: Repository, digests: Iterable[str], by: Caller) -> dict[str, int]:
    """Return sha256 → size in bytes of the blobs that this caller may link into this repository; a few queries.

    Either the bytes were delivered to this repository, or the caller can download them from another one now. A caller
    who may not write here cannot propose files by their digests that a quarantine or a gate holds back here.
    """
    requested = set(digests)
    if not requested:
        return {}
    sizes = dict(_DELIVERED(repository.pk, *requested))
    if sizes and not policy.may_write(by, repository):
        held_back = _held_back(repository, sizes, by)
        sizes = {sha256: size for sha256, size in sizes.items() if sha256 not in held_back}
    # In any case, also for bytes that nobody has: an answer that came sooner would tell a stranger who has them.
    if elsewhere := requested - sizes.keys():
        sizes.update(_downloadable(elsewhere, by))
    return sizes


def _downloadable(digests: Iterable[str], by: Caller) -> Iterable[tuple[str, int]]:
    """Return (sha256, size in bytes) of the blobs that this caller can download from any repository.

    Every push of new bytes asks this: for persons without teams it is compiled once, and then three times as fast.
    """
    if by.user is None or by.is_fine_grained or any(by.roles_by_teams()):
        return _sizes(by, digests)
    pull_policy = str(site_settings.get_setting("pull_policy"))
    return _downloadable_by(pull_policy, len(by.roles))(by.user.pk, *by.roles, *digests)


@lru_cache(maxsize=8)  # each of a few texts of 70 KiB, by the number of digests
def _downloadable_by(pull_policy: str, roles: int) -> Prepared[tuple[str, int]]:
    def sizes(user: int, *values: Any) -> "QuerySet[RevisionFile, tuple[str, int]]":
        return _sizes(_placeholder(user, values[:roles]), values[roles:], pull_policy)

    return Prepared(sizes, *[int] * (1 + roles), str)


def _placeholder(user: int, namespaces: Iterable[int]) -> Caller:
    """Return a caller for compiling a query: this user id, a role in each of these namespaces, no teams.

    It decides no right: which role it is, nobody said.
    """
    caller = Caller(user=User(pk=user))
    caller.memberships, caller.roles = {}, dict.fromkeys(namespaces, Membership.Role.READ)
    return caller


def _sizes(by: Caller, digests: Iterable[str], pull_policy: str = "") -> "QuerySet[RevisionFile, tuple[str, int]]":
    files = pull.downloadable(by, pull_policy).filter(blob__in=list(digests))
    # Without order_by(), Django adds the column of the default order, the path, to SELECT DISTINCT.
    return files.order_by().values_list("blob_id", "blob__size").distinct()


_DELIVERED = Prepared(
    lambda repository, *digests: Blob.objects.filter(
        uploaded_to__repository=repository, sha256__in=digests
    ).values_list("sha256", "size"),
    int,
    str,
)


def _held_back(repository: Repository, digests: Iterable[str], by: Caller) -> set[str]:
    """Return the digests in revisions of this repository that the caller may not have, except in their own revisions.

    A gate protects files, but pages show cards and configs: a proposal could name a gated file as one of those.
    """
    rows = RevisionFile.objects.filter(revision__repository=repository, blob__in=list(digests))
    committed = set(rows.values_list("blob_id", flat=True).distinct())
    if not committed:
        return committed
    downloadable = pull.downloadable(by).filter(revision__repository=repository, blob__in=committed)
    own = rows.filter(revision__author=by.user, revision__quarantined_at__isnull=True)
    return (
        committed
        - set(downloadable.values_list("blob_id", flat=True).distinct())
        - set(own.values_list("blob_id", flat=True).distinct())
    )
