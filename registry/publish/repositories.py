"""Creates, copies and deletes repositories, and changes who may see them; copies copy rows and no bytes."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Min, OuterRef, QuerySet, Subquery
from django.utils import timezone

from registry.kernel import audit, errors, outbox, policy, quotas, refusals, seams, site_settings, stored_bytes
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import (
    FormerName,
    ModerationDecision,
    NameRule,
    Ref,
    Repository,
    Revision,
    RevisionFile,
    UploadedBlob,
)
from registry.people import accounts, name_rules
from registry.publish import push
from registry.repos import bases, downloads, lookup, pull, refs

DELETIONS = 3  # attempts


def create(
    full_name: str, by: Caller, *, private: bool | None = None, type: str = "model", files: Sequence[push.Inline] = ()
) -> Repository:
    """Create a repository with a first revision of these files; `private=None` uses the namespace's default.

    Raises SignInRequired, NotAllowed, NameInvalid, and RepositoryExists with the existing one's `full_name` and `path`.
    """
    if by.user is None:
        raise errors.SignInRequired("Sign in to create a repository.")
    namespace_name, name = names.split_id(full_name)
    names.check_name(name)
    namespace = accounts.namespace_for_new(namespace_name)
    policy.require_namespace(by, namespace, name, type)
    site_settings.require_new_repositories()
    name_rules.require_allowed(name, NameRule.Scope.REPOSITORY)
    if private is None:
        organization = getattr(namespace, "organization", None)
        private = organization is not None and organization.private_by_default
    first = push.prepare(files, type)
    with alone_of_its_name(full_name, type):
        repository = Repository.objects.create(
            type=type, namespace=namespace, name=name, private=private, created_by=by.user
        )
        quotas.require_repository_quota(namespace)
        former = FormerName.objects.filter(type=type, full_name=repository.full_name.lower())
        former.delete()  # it no longer redirects
        seams.name(repository)
        main = push.begin(repository, by, first)
        name_rules.observe_repository(repository, by.user)
        audit.record(
            by.user,
            "adapter:create",
            repository.full_name,
            about=repository,
            after={"type": type, "private": private},
        )
        outbox.record(Kind.CREATED, repository, by.user, ref=main.name, revision=main.revision.oid)
    return repository


@contextmanager
def alone_of_its_name(full_name: str, type: str) -> Iterator[None]:
    """Open a transaction that gives a repository this name.

    Raises RepositoryExists with the existing one's address, and NameReserved for the name of a base or of a removed
    repository in the bin.
    """
    bases.require_free(full_name, type)
    _require_no_tombstone(full_name, type)
    try:
        with transaction.atomic():
            yield
    except (IntegrityError, errors.NamespaceNotFound) as error:
        first = lookup.named(full_name, type).select_related("namespace").first()
        if "repository_name_unique" not in str(error) or first is None:
            # The namespace may have been deleted since the check.
            accounts.namespace_for_new(full_name.partition("/")[0])
            raise
        # A caller who may create here may learn all taken names, also those of quarantined repositories.
        message = f"A {type} repository called {first.full_name} already exists."
        raise errors.RepositoryExists(message, full_name=first.full_name, path=first.get_absolute_url()) from None


def _removed(type: str, namespace: str, name: str) -> QuerySet[Repository]:
    """Return the repositories in the bin that had this name (in lower case) when moderators removed them."""
    binned = Repository.with_binned.filter(binned_at__isnull=False, quarantined_at__isnull=False, type=type)
    last = ModerationDecision.objects.filter(repository=OuterRef("pk"), revision__isnull=True).order_by("-pk")
    removed = binned.annotate(last=Subquery(last.values("action")[:1])).filter(last=ModerationDecision.Action.TAKEDOWN)
    return removed.filter(namespace__name__lower=namespace, name__lower=name)


def _require_no_tombstone(full_name: str, type: str) -> None:
    """Raise NameReserved if a removed repository had the name: nobody gets it, so that nothing poses as it."""
    namespace, _, name = full_name.lower().partition("/")
    if _removed(type, namespace, name).exists():
        raise errors.NameReserved(
            f"Moderators removed {full_name}: its name cannot be taken.", fix="Choose another name."
        )


def delete(repository: Repository, by: Caller) -> None:
    """Move the repository to the bin (restoring.py), or delete its rows where the hub keeps none.

    Nobody but its owner can use the name again, which begins with the owner's. Raises what policy.require raises for
    CONFIGURE.
    """
    for _ in range(DELETIONS - 1):
        with suppress(IntegrityError):  # what refers to it, such as an upload, came meanwhile
            return _delete(repository, by)
    return _delete(repository, by)


def _delete(repository: Repository, by: Caller) -> None:
    with transaction.atomic():
        current = policy.require_now(by, Permission.CONFIGURE, repository)  # a quarantine keeps the evidence
        state = {"type": current.type, "private": current.private, "gated": current.gated}
        audit.record(by.user, "adapter:delete", current.full_name, about=current, before=state)
        outbox.record(Kind.DELETED, current, by.user)
        seams.give_up(current, by.user)
        if site_settings.get_setting("bin_days") == "0":
            require_no_evidence(current)
            current.delete()
        else:
            Repository.objects.filter(pk=current.pk).update(binned_at=timezone.now(), binned_by=by.user)


def require_no_evidence(repository: Repository) -> None:
    """Raise RepositoryQuarantined if moderators hold the repository or a revision of it: it is not deleted for good."""
    held = evidence_in(repository)
    if isinstance(held, Revision):
        raise refusals.quarantined_revision(held)
    if held is not None:
        raise refusals.quarantined(held)


def evidence_in(repository: Repository) -> Repository | Revision | None:
    """Return what moderators hold of a repository, itself or a revision; None for nothing. Call it under its lock."""
    if repository.is_quarantined:
        return repository
    return repository.revisions.filter(quarantined_at__isnull=False).first()


def set_private(repository: Repository, private: bool, by: Caller) -> None:
    """Change the visibility of a repository; a no-op if it is the same already."""
    with transaction.atomic():
        policy.require_now(by, Permission.CONFIGURE, repository)
        _set_private(repository, private, by)


def _set_private(repository: Repository, private: bool, by: Caller) -> None:
    with transaction.atomic():
        if Repository.objects.filter(pk=repository.pk, private=not private).update(private=private):
            audit.record(
                by.user,
                "adapter:visibility",
                repository.full_name,
                about=repository,
                before={"private": not private},
                after={"private": private},
            )
            repository.private = private
            outbox.record(Kind.CONFIGURED, repository, by.user)
    repository.private = private


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
        downloads.require_all_searched(line, source, by)
        hidden = source.private if private is None else private
        copy = create(full_name, by, private=hidden, type=source.type)
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
        raise errors.PushTooLarge(
            f"The history of {source.full_name} is too long to be duplicated; the limit is {most}.",
            fix="Download what you need and push that.",
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
def share(
    source: Repository, target: Repository, digests: Sequence[str], by: Caller
) -> dict[str, errors.RegistryError]:
    """Let `target` use large files of `source`: a caller who may download them there may push them here.

    Returns sha256 → refusal of those that could not be shared. Raises PushTooLarge, QuotaExceeded and what
    policy.require raises for DOWNLOAD of the source and PUSH to the target.
    """
    policy.require(by, Permission.DOWNLOAD, source)
    policy.require(by, Permission.PUSH, target)
    if len(digests) > MAX_ASKED:
        raise errors.PushTooLarge(
            f"{len(digests):,} files in one request; the limit is {MAX_ASKED:,}.", fix="Split the request."
        )
    served = pull.downloadable(by, unsearched=True).filter(revision__repository=source, blob__in=digests)
    files = {row.blob_id: pull.entry_of(row) for row in served.order_by("-is_unsearched")}  # a searched one counts
    sizes, refused = dict[str, int](), dict[str, errors.RegistryError]()
    for sha256 in digests:
        try:
            if sha256 not in files:
                raise errors.BlobUnknown(f"{source.full_name} holds no file {sha256}.")
            downloads.require_searched([files[sha256]], source, by)
            sizes[sha256] = files[sha256].size
        except errors.RegistryError as refusal:
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
