"""Copies of repositories and files inside the hub; they copy rows and no bytes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Min

from registry.kernel import audit, policy, refusals
from registry.kernel.errors import BlobUnknown, PushTooLarge, RegistryError
from registry.kernel.limits import quotas, stored_bytes
from registry.kernel.policy import Caller, Permission
from registry.models import Ref, Repository, Revision, RevisionFile, UploadedBlob
from registry.publish import push, repositories
from registry.repos import pull, refs, unsearched_files

MAX_ASKED = 1_000
MAX_REVISIONS, MAX_FILES = 500, 20_000  # of a duplicated repository: it holds its lock for some seconds
BATCH = 500


# --- whole repositories ----------------------------------------------------------------------------------------------
def duplicate(source: Repository, full_name: str, by: Caller, *, private: bool | None = None) -> Repository:
    """Create a repository with branches, tags and history of another one; pull requests and discussions stay behind.

    `private=None` keeps the source's visibility. The caller must be allowed to download all of it. Raises what
    policy.require_now raises for DOWNLOAD, RepositoryNotFound for the record of one at another hub,
    RevisionNotVerified, FileNotSearched, PushTooLarge, and what repositories.create raises.
    """
    with transaction.atomic():
        source = policy.require_now(by, Permission.DOWNLOAD, source)  # locks: a rewrite of the history waits
        if source.source:  # not all of its files are here, or were looked through
            raise refusals.repository_not_found(source.full_name)
        heads = [ref for ref in refs.list_refs(source) if ref.name.startswith((refs.BRANCHES, refs.TAGS))]
        line = _reachable(source, heads)
        pull.require_each_served([row for row in line if row.is_quarantined or not row.is_expired], by)
        unsearched_files.require_all_searched(line, source, by)
        hidden = source.private if private is None else private
        copy = repositories.create(full_name, by, private=hidden, type=source.type)
        _copy(source, copy, line, heads)
        audit.record(by.user, "adapter:duplicate", copy.full_name, about=copy, before=source.full_name)
    return copy


def _reachable(source: Repository, heads: Iterable[Ref]) -> list[Revision]:
    """Return the revisions that branches and tags reach, oldest first."""
    parents = dict(source.revisions.values_list("pk", "parent"))
    reachable: set[int] = set()
    for ref in heads:
        at: int | None = ref.revision_id
        while at is not None and at not in reachable:
            reachable.add(at)
            at = parents[at]
    files = (
        RevisionFile.objects.filter(revision__in=reachable).count()
        if len(reachable) <= MAX_REVISIONS
        else MAX_FILES + 1
    )
    if files > MAX_FILES:
        most = f"{MAX_REVISIONS} commits with {MAX_FILES:,} files together"
        raise PushTooLarge(
            f"The history of {source.full_name} is too long to be duplicated: at most {most} are.",
            fix="Download what you need of it, and push that.",
        )
    line = list(Revision.objects.filter(pk__in=reachable).select_related("author").order_by("pk"))
    for revision in line:
        revision.repository = source
    return line


def _copy(source: Repository, target: Repository, line: Sequence[Revision], heads: Iterable[Ref]) -> None:
    first = target.refs.get(name=refs.MAIN).revision
    files = RevisionFile.objects.filter(revision__in=line)
    quotas.require_byte_quota_for(target, dict(files.values_list("blob_id", "size").distinct()))
    copies: dict[int, Revision] = {}
    for old in line:
        parent = copies.get(old.parent_id or 0)
        copies[old.pk] = push.rewrite(old, parent, into=target)
    target.refs.all().delete()
    target.gated = source.gated  # admitted people must not open the files to everybody; the new owner may
    target.save(update_fields=["gated"])
    Ref.objects.bulk_create(
        [Ref(repository=target, name=ref.name, revision=copies[ref.revision_id]) for ref in heads], batch_size=BATCH
    )
    if first.pk not in {copy.pk for copy in copies.values()}:
        first.delete()
        stored_bytes.recount(target)
    push.settle(target)


# --- single files ----------------------------------------------------------------------------------------------------
def share(source: Repository, target: Repository, digests: Sequence[str], by: Caller) -> dict[str, RegistryError]:
    """Let `target` use large files of `source`: a caller who may download them there may push them here.

    Returns sha256 → refusal of those that could not be shared. Raises PushTooLarge, QuotaExceeded and what
    policy.require raises for DOWNLOAD of the source and PUSH to the target.
    """
    policy.require(by, Permission.DOWNLOAD, source)
    policy.require(by, Permission.PUSH, target)
    if len(digests) > MAX_ASKED:
        raise PushTooLarge(f"{len(digests):,} files at once; the limit is {MAX_ASKED:,}.", fix="Ask in several.")
    served = pull.downloadable(by, unsearched=True).filter(revision__repository=source, blob__in=digests)
    files = {row.blob_id: pull.entry_of(row) for row in served.order_by("-is_unsearched")}  # a searched one counts
    sizes, refused = dict[str, int](), dict[str, RegistryError]()
    for sha256 in digests:
        try:
            if sha256 not in files:
                raise BlobUnknown(f"{source.full_name} holds no file {sha256}.")
            unsearched_files.require_searched([files[sha256]], source, by)
            sizes[sha256] = files[sha256].size
        except RegistryError as refusal:
            refused[sha256] = refusal
    with transaction.atomic():
        target = policy.require_now(by, Permission.PUSH, target)
        quotas.require_byte_quota(target, stored_bytes.unheld(target, sizes))  # they count once a push names them
        rows = [UploadedBlob(repository=target, blob_id=sha256) for sha256 in sizes]
        UploadedBlob.objects.bulk_create(rows, ignore_conflicts=True, batch_size=BATCH)
    return refused


@dataclass(frozen=True, slots=True)
class LargeFile:
    """A large file of an adapter; `path` is where it was first, and `ref` a branch that has or had it."""

    sha256: str
    size: int
    path: str
    pushed_by: Revision
    ref: str | None
    row: int


def large_files(repository: Repository, by: Caller, *, after: int = 0, limit: int) -> list[LargeFile]:
    """Return the large files of every revision, in the order in which they came; `after` is the last one's row.

    Raises what policy.require raises for INSPECT.
    """
    policy.require(by, Permission.INSPECT, repository)
    rows = RevisionFile.objects.filter(revision__repository=repository, is_lfs=True).order_by()
    firsts = rows.values("blob").annotate(first=Min("pk")).filter(first__gt=after).order_by("first")[:limit]
    numbers = [row["first"] for row in firsts]
    rows = RevisionFile.objects.filter(pk__in=numbers).select_related("revision").order_by("pk")
    where = _homes(repository) if numbers else {}
    return [
        LargeFile(row.blob_id, row.size, row.path, row.revision, where.get(row.revision_id), row.pk) for row in rows
    ]


def _homes(repository: Repository) -> dict[int, str]:
    """Revision → the ref it belongs to: main before branches, those before the rest."""
    parents = dict(repository.revisions.values_list("pk", "parent"))
    homes: dict[int, str] = {}
    for ref in sorted(refs.list_refs(repository), key=_by_rank):
        at: int | None = ref.revision_id
        while at is not None and at not in homes:
            homes[at] = ref.name
            at = parents[at]
    return homes


def _by_rank(ref: Ref) -> tuple[bool, bool, str]:
    return ref.name != refs.MAIN, not ref.name.startswith(refs.BRANCHES), ref.name
