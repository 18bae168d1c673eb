"""Downloads: who may have which stored bytes, and the tickets that open an LFS file each.

A digest gives no right to bytes; delivering them or being able to download them does. Files that look like pickles
and wait to be searched for code are for the writers of their repository alone: a push sets
`RevisionFile.is_unsearched`, and the end of the search (registry/proof/pickle_scans.py) takes it away. Tickets are
signed texts that a download batch hands out.
"""

from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core import signing
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from registry.kernel import policy, site_settings
from registry.kernel.errors import (
    BlobUnknown,
    DownloadExpired,
    FileNotSearched,
    RepositoryNotFound,
    RevisionNotVerified,
)
from registry.kernel.policy import NOBODY, Caller, Permission
from registry.models import Blob, Membership, Repository, Revision, RevisionFile, User, WorkerHeartbeat
from registry.people.tokens import tokens
from registry.repos import pull
from registry.repos.manifest import Entry
from registry.sql.prepared import Prepared

NO_WORKER = "No worker of this hub is running, which would search it: its operator starts one."


def still_unsearched(repository: Repository, entries: Iterable[Entry]) -> set[str]:
    """Return the paths of those of a new revision's files that must be searched; one query, none where none looks so.

    The same bytes under the same name are searched once, in this repository or in a public one: that nobody waits for
    known bytes must not tell a stranger that somebody has them in private.
    """
    waiting = {entry.path: entry.sha256 for entry in entries if entry.is_unsearched}
    if not waiting:
        return set()
    told = Q(revision__repository=repository) | Q(revision__repository__private=False)
    done = Q(is_unsearched=False, revision__quarantined_at=None, revision__pickle_scan=None)
    rows = RevisionFile.objects.filter(told, done, blob__in=set(waiting.values()))
    searched = {(sha256, _name(path)) for sha256, path in rows.order_by().values_list("blob", "path").distinct()}
    return {path for path, sha256 in waiting.items() if (sha256, _name(path)) not in searched}


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def require_searched(entries: Iterable[Entry], repository: Repository, by: Caller) -> None:
    """Raise FileNotSearched if one of these files of a repository waits, unless the caller may write there."""
    waiting = next((entry for entry in entries if entry.is_unsearched), None)
    if waiting is not None and not policy.may_write(by, repository):
        raise refusal(waiting.path)


def refusal(path: str) -> FileNotSearched:
    """Return the refusal of a file that waits; it says so where nobody is there to search it. One query."""
    beats = WorkerHeartbeat.objects.filter(beat_at__gte=Now() - timedelta(seconds=settings.LEASE_SECONDS))
    return FileNotSearched(
        f"{path[:200]} looks like a pickle and has not been searched for code yet.",
        fix="" if beats.exists() else NO_WORKER,
    )


def find_served(revision: Revision, path: str, by: Caller) -> Entry:
    """Return a file of the revision that the caller may have now.

    Raises what `pull.find_file` and `pull.require_served` raise, in this order, and FileNotSearched.
    """
    entry = pull.find_file(revision, path)
    pull.require_served(revision, by)
    require_searched([entry], revision.repository, by)
    return entry


def require_all_searched(revisions: Iterable[Revision], repository: Repository, by: Caller) -> None:
    """Call `require_searched` for every file of these revisions of a repository; one query."""
    path = RevisionFile.objects.filter(revision__in=revisions, is_unsearched=True).values_list("path", flat=True)
    if not policy.may_write(by, repository) and (waiting := path.first()) is not None:
        raise refusal(waiting)


def usable_blobs(repository: Repository, digests: Iterable[str], by: Caller) -> dict[str, int]:
    """Return sha256 → size in bytes of the blobs that this caller may link into this repository; a few queries.

    Either the bytes were delivered to this repository, or the caller can download them from another one now. A caller
    who may not write here cannot propose files by their digests that a quarantine or a gate holds back here.
    """
    requested = set(digests)
    if not requested:
        return {}
    delivered = Blob.objects.filter(uploaded_to__repository=repository, sha256__in=requested)
    sizes = dict(delivered.values_list("sha256", "size"))
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


SECONDS = 3600
_SALT = "downloads.ticket"


def create_tickets(repository: Repository, digests: Iterable[str], *, by: Caller) -> dict[str, str]:
    """Return sha256 → ticket for those objects that some revision here names and this caller may download now.

    Raises what policy.require raises. One query, and one signature an object.
    """
    policy.require(by, Permission.DOWNLOAD, repository)
    token = by.token.pk if by.token else None
    allowed = downloadable_digests(repository, set(digests), by)
    return {sha256: signing.dumps([repository.pk, sha256, token], salt=_SALT) for sha256 in allowed}


def downloadable_digests(repository: Repository, digests: set[str], by: Caller) -> set[str]:
    """Return those of the digests that some revision here names and this caller may download now."""
    return set(files_for(repository, by).filter(blob__in=digests).values_list("blob_id", flat=True).distinct())


def redeem_ticket(ticket: str) -> Entry:
    """Return the file that a ticket opens. Rights are checked now, not when it was created: tokens end, gates close.

    Raises DownloadExpired, BlobUnknown, FileNotSearched, TokenInvalid and what policy.require raises.
    """
    try:
        pk, sha256, token = signing.loads(ticket, salt=_SALT, max_age=SECONDS)
    except signing.BadSignature:
        raise DownloadExpired("This download URL is invalid or has expired.") from None
    caller = NOBODY if token is None else tokens.caller_of_id(token)
    repository = Repository.objects.select_related("namespace__person").filter(pk=pk).first()
    if repository is None:
        raise RepositoryNotFound("The repository of this download URL does not exist, or you may not see it.")
    policy.require_bound(caller, Permission.DOWNLOAD, repository, "download address")
    entry = find_by_digest(repository, sha256, caller)
    if entry is None:
        unserved = find_unserved(repository, [sha256], caller)
        raise unserved.get(sha256) or BlobUnknown(f"No file of this repository has the sha256 {sha256}.")
    return entry


def find_by_digest(repository: Repository, sha256: str, by: Caller) -> Entry | None:
    """Return a file with this digest that some revision here names and this caller may download, or None.

    Raises FileNotSearched.
    """
    row = files_for(repository, by).filter(blob=sha256).order_by("is_unsearched").first()
    if row is None:
        return None
    entry = pull.entry_of(row)
    require_searched([entry], repository, by)
    return entry


def find_unserved(repository: Repository, digests: Iterable[str], by: Caller) -> dict[str, RevisionNotVerified]:
    """Return sha256 → refusal for those of the digests that nothing but the pull policy keeps from this caller.

    The refusal is that of the newest version here with one of them; a few queries.
    """
    rows = pull.listable(by).filter(revision__repository=repository, is_lfs=True, blob__in=list(digests))
    rows = rows.exclude(blob__in=files_for(repository, by).values("blob"))  # those are not searched yet
    newest = rows.select_related("revision").order_by("-revision").first()
    if newest is None:
        return {}
    newest.revision.repository = repository
    refusal = pull.unserved(newest.revision, by)
    return dict.fromkeys(rows.order_by().values_list("blob_id", flat=True), refusal) if refusal else {}


def files_for(repository: Repository, by: Caller) -> "QuerySet[RevisionFile]":
    """Return the LFS files that revisions here name and this caller may download, searched for code or not."""
    return pull.downloadable(by, unsearched=True).filter(revision__repository=repository, is_lfs=True)
