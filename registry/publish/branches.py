"""Creates and deletes branches and tags, and rewrites history: one commit of a branch, or commits without large files.

Nothing else rewrites history.
"""

from collections.abc import Iterable, Mapping

from django.db import IntegrityError, transaction
from django.db.models import Q

from registry.kernel import audit, outbox, policy, refusals, seams, stored_bytes
from registry.kernel.errors import FilesExpired, PushTooLarge, QuotaExceeded, RefExists, RefProtected, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.models import Case, Discussion, ExpiredFile, Ref, Repository, Revision, RevisionFile, UploadedBlob
from registry.proof.verified import aliases
from registry.publish import push
from registry.repos import pull, refs
from registry.repos.contents import stored_facts

MAX_REFS = 5_000  # every page of a repository reads all their names


def create_ref(repository: Repository, ref: str, at: Revision, by: Caller) -> Ref:
    """Create a branch (refs/heads/…) or tag (refs/tags/…) at a revision.

    Raises ValueInvalid, RefExists, QuotaExceeded, FilesExpired, and what policy.require raises for PUSH.
    """
    try:
        with transaction.atomic():
            policy.require_now(by, Permission.PUSH, repository)  # locks: a rewrite of the history moves every ref
            name = refs.check_ref_name(refs.short_name(ref))
            if repository.aliases.filter(name=name.lower()).exists():
                raise RefExists(
                    f"{repository.full_name} has an alias {name.lower()!r}; a branch or tag cannot have the same name.",
                    fix="Choose another name, or remove the alias first.",
                )
            _require_place(repository)
            if Revision.objects.filter(pk=at.pk, expired_at__isnull=False).exists():
                raise FilesExpired(f"Version {at.oid} no longer has files, so {ref} cannot point to it.")
            created = Ref.objects.create(repository=repository, name=ref, revision=at)
            outbox.record(outbox.Kind.REF_MOVED, repository, by.user, ref=ref, old=None, new=at.oid, is_push=False)
            return created
    except IntegrityError:
        raise RefExists(f"Reference {ref} already exists.") from None


def _require_place(repository: Repository) -> None:
    if repository.refs.exclude(name__startswith=refs.PULL_REQUESTS).count() >= MAX_REFS:
        raise QuotaExceeded(
            f"{repository.full_name} has {MAX_REFS:,} branches and tags, the limit.", fix="Delete some first."
        )


def delete_ref(repository: Repository, ref: str, by: Caller) -> None:
    """Delete a branch or tag; its revisions keep their ids. Raises RefProtected for main and what features keep.

    Raises RevisionNotFound, and what policy.require raises for PUSH.
    """
    with transaction.atomic():
        policy.require_now(by, Permission.PUSH, repository)
        if ref == refs.MAIN:
            raise RefProtected(f"Cannot delete {ref}: it is in every adapter.", fix="Delete that, or push over it.")
        old = refs.resolve_ref(repository, ref)
        for feature in seams.joined():
            for require in feature.before_ref_deleted:
                require(repository, ref)
        Ref.objects.filter(repository=repository, name=ref).delete()
        audit.record(by.user, "adapter:delete-ref", f"{repository.full_name}@{ref}", about=repository, before=old.oid)
        outbox.record(outbox.Kind.REF_MOVED, repository, by.user, ref=ref, old=old.oid, new=None, is_push=False)


MAX_REVISIONS, MAX_FILES = 5_000, 500_000  # the largest history that is rewritten in one transaction


def squash(repository: Repository, rev: str, message: str, by: Caller) -> Ref:
    """Replace a branch (or refs/pr/N) by one commit with its newest files; the old commits keep their ids.

    Raises RevisionNotFound for a missing branch, RefProtected for a tag, and what policy.require raises.
    """
    ref = refs.full_ref(rev)
    title = message.strip() or f"Super-squash branch '{refs.short_name(ref)}'"
    policy.require(by, Permission.PUSH, repository)
    head = refs.resolve_ref(repository, ref)
    stored_facts.revision_facts(head, pull.entries(head))  # so that the store is not read under the lock
    with transaction.atomic():
        repository = policy.require_now(by, Permission.PUSH, repository)
        head = refs.resolve_ref(repository, ref)
        refs.check_pushable(ref)
        if head.parent_id is None:
            return repository.refs.select_related("revision").get(name=ref)  # one commit already
        title, _, rest = title.partition("\n")
        intent = push.Intent(repository, ref, by, title=title[: push.MAX_TITLE], message=rest.strip())
        squashed = push.put(intent, pull.entries(head), onto=None, like=head)
        audit.record(
            by.user,
            "adapter:squash",
            f"{repository.full_name}@{ref}",
            about=repository,
            before=head.oid,
            after=squashed.revision.oid,
        )
    return squashed


def forget_files(repository: Repository, digests: Iterable[str], by: Caller, *, rewrite: bool = True) -> int:
    """Remove large files (sha256) from every commit of a repository; return the number of rewritten commits.

    The first commit with such a file and all later ones get new ids; branches, tags and pull requests move to them, and
    the sweep deletes bytes that nothing else refers to. Raises PushTooLarge for a very long history, AdapterQuarantined
    if a rewritten commit is held back by moderators, ValueInvalid if commits hold the files and `rewrite` is false, and
    what policy.require raises for CONFIGURE, since others may rely on the files.
    """
    doomed = set(digests)
    with transaction.atomic():
        repository = policy.require_now(by, Permission.CONFIGURE, repository)
        files = RevisionFile.objects.filter(revision__repository=repository, is_lfs=True, blob__in=doomed)
        committed = set(files.values_list("blob_id", flat=True).distinct())
        if committed and not rewrite:
            raise ValueInvalid(
                "Commits of this adapter contain these files.",
                fix="Send rewriteHistory to rewrite those commits.",
            )
        written = _rewrite(repository, committed, by) if committed else {}
        _forget_binned(repository, doomed)
        still = RevisionFile.objects.filter(revision__repository=repository, blob__in=doomed).values("blob")
        UploadedBlob.objects.filter(repository=repository, blob__in=doomed).exclude(blob__in=still).delete()
        stored_bytes.recount(repository)
        if committed:
            push.settle(repository)
            audit.record(
                by.user,
                "adapter:forget-files",
                repository.full_name,
                about=repository,
                before=sorted(committed)[:100],
            )
    return len(written)


def _forget_binned(repository: Repository, doomed: set[str]) -> None:
    """Delete all files in the bin of each version that had one of these. Raises RepositoryQuarantined for evidence."""
    binned = ExpiredFile.objects.filter(revision__repository=repository, blob__in=doomed).values("revision")
    versions = Revision.objects.filter(pk__in=list(binned.values_list("revision", flat=True).distinct()))
    _require_no_evidence(versions.filter(quarantined_at__isnull=False))
    ExpiredFile.objects.filter(revision__in=versions).delete()


def _require_no_evidence(revisions: Iterable[Revision]) -> None:
    for revision in revisions:
        if revision.is_quarantined and not _is_reviewed(revision):
            raise refusals.quarantined_revision(revision)  # evidence of a quarantine is kept


def _rewrite(repository: Repository, doomed: set[str], by: Caller) -> dict[int, Revision]:
    """Rewrite each commit with a doomed file and its descendants; return old row id → new commit."""
    files = RevisionFile.objects.filter(revision__repository=repository)
    if repository.revisions.count() > MAX_REVISIONS or files.count() > MAX_FILES:
        raise PushTooLarge(
            f"The history of {repository.full_name} is too long to be rewritten.", fix="Squash it first."
        )
    touched = set(files.filter(blob__in=doomed, is_lfs=True).values_list("revision", flat=True))
    written: dict[int, Revision] = {}
    # A parent is always older than its child.
    for revision in repository.revisions.select_related("author", "parent").order_by("pk"):
        if revision.pk in touched or revision.parent_id in written:
            parent = written.get(revision.parent_id or 0, revision.parent)
            _require_no_evidence([revision])
            new = written[revision.pk] = push.rewrite(revision, parent, without=doomed)
            if revision.replaces_id and new.pk != revision.pk:
                Revision.objects.filter(pk=new.pk).update(replaces=revision.replaces_id)
    aliases.follow(repository, written, by.user)
    _follow(repository, written)
    return written


def _break_circles(repository: Repository) -> None:
    """Let no commit replace a later one: a walk through the history would never end.

    A rewritten commit may turn out to be a squash that is there already: without a file both are the same.
    """
    before = dict(repository.revisions.values_list("pk", "parent"))
    for squashed, replaced in repository.revisions.exclude(replaces=None).order_by("pk").values_list("pk", "replaces"):
        at = replaced
        while at is not None and at != squashed:
            at = before[at]
        if at is None:
            before[squashed] = replaced
        else:
            Revision.objects.filter(pk=squashed).update(replaces=None)


def _is_reviewed(revision: Revision) -> bool:
    """Return whether the hub alone held a revision back, and a moderator has closed the case of it."""
    unreviewed = ~Q(by=None) | Q(case=None) | ~Q(case__state=Case.State.CLOSED)
    in_case = revision.cases.exclude(state=Case.State.CLOSED)
    return not (revision.decisions.filter(unreviewed).exists() or in_case.exists())


def _follow(repository: Repository, written: Mapping[int, Revision]) -> None:
    """Move all references from old commits to their successors, and delete the old commits, newest first."""
    for ref in Ref.objects.filter(repository=repository, revision__in=written):
        ref.revision = written[ref.revision_id]
        ref.save(update_fields=["revision", "updated_at"])
    for squashed in repository.revisions.filter(replaces__in=written):
        Revision.objects.filter(pk=squashed.pk).update(replaces=written[squashed.replaces_id or 0])
    _break_circles(repository)
    for discussion in Discussion.objects.filter(repository=repository, is_pull_request=True):
        for name in ("merge_base", "merged_as"):
            if (new := written.get(getattr(discussion, f"{name}_id") or 0)) is not None:
                setattr(discussion, name, new)
        discussion.save(update_fields=["merge_base", "merged_as"])
    kept = {revision.pk for revision in written.values()}
    for old in sorted(written.keys() - kept, reverse=True):
        Revision.objects.filter(pk=old).delete()
