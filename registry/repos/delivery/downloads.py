"""Download tickets for LFS files: signed texts that a download batch hands out and that open one file each."""

from collections.abc import Iterable

from django.core import signing
from django.db.models import QuerySet

from registry.kernel import policy
from registry.kernel.errors import BlobUnknown, DownloadExpired, RepositoryNotFound
from registry.kernel.policy import NOBODY, Caller, Permission
from registry.models import Repository, RevisionFile
from registry.people.tokens import tokens
from registry.repos import histories, pull, unsearched_files
from registry.repos.manifest import Entry

SECONDS = 3600
LOOK_BACK_FILES = 2_000
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
    return set(_files(repository, by).filter(blob__in=digests).values_list("blob_id", flat=True).distinct())


def newest_digests(repository: Repository, by: Caller) -> set[str]:
    """Return digests of LFS files that the newest revisions here name and this caller may download now.

    It looks back over histories.LOOK_BACK revisions and LOOK_BACK_FILES files, however long the history is.
    """
    revisions = repository.revisions.order_by("-pk").values_list("pk", flat=True)[: histories.LOOK_BACK]
    files = _files(repository, by).filter(revision__in=list(revisions)).order_by("-revision")
    if not policy.may_write(by, repository):
        files = files.filter(is_unsearched=False)  # whoever knows its chunks has it assembled as their own
    return set(files.values_list("blob_id", flat=True)[:LOOK_BACK_FILES])


def redeem_ticket(ticket: str) -> Entry:
    """Return the file that a ticket opens. Rights are checked now, not when it was created: tokens end, gates close.

    Raises DownloadExpired, BlobUnknown, FileNotSearched, TokenInvalid and what policy.require raises.
    """
    try:
        pk, sha256, token = signing.loads(ticket, salt=_SALT, max_age=SECONDS)
    except signing.BadSignature:
        raise DownloadExpired("This download address is not valid, or its hour is over.") from None
    caller = NOBODY if token is None else tokens.caller_of_id(token)
    repository = Repository.objects.select_related("namespace__person").filter(pk=pk).first()
    if repository is None:
        raise RepositoryNotFound("The repository of this download address is gone, or you may not see it.")
    policy.require_bound(caller, Permission.DOWNLOAD, repository, "download address")
    entry = find_by_digest(repository, sha256, caller)
    if entry is None:
        raise BlobUnknown(f"No file of this repository has the sha256 {sha256} any more.")
    return entry


def find_by_digest(repository: Repository, sha256: str, by: Caller) -> Entry | None:
    """Return a file with this digest that some revision here names and this caller may download, or None.

    Raises FileNotSearched.
    """
    row = _files(repository, by).filter(blob=sha256).order_by("is_unsearched").first()
    if row is None:
        return None
    entry = pull.entry_of(row)
    unsearched_files.require_searched([entry], repository, by)
    return entry


def _files(repository: Repository, by: Caller) -> "QuerySet[RevisionFile]":
    return pull.downloadable(by, unsearched=True).filter(revision__repository=repository, is_lfs=True)
