"""Creates and deletes branches and tags."""

from django.db import IntegrityError, transaction

from registry.kernel import audit, outbox, policy, seams
from registry.kernel.errors import FilesExpired, QuotaExceeded, RefExists, RefProtected
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller, Permission
from registry.models import Ref, Repository, Revision
from registry.repos import refs

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
                    f"{repository.full_name} has an alias {name.lower()!r}: a branch or a tag cannot have its name.",
                    fix="Choose another name, or remove the alias first.",
                )
            _require_place(repository)
            if Revision.objects.filter(pk=at.pk, expired_at__isnull=False).exists():
                raise FilesExpired(f"Version {at.oid} has no files any more: {ref} would lead to nothing.")
            created = Ref.objects.create(repository=repository, name=ref, revision=at)
            outbox.record(Kind.REF_MOVED, repository, by.user, ref=ref, old=None, new=at.oid, is_push=False)
            return created
    except IntegrityError:
        raise RefExists(f"Reference {ref} already exists.") from None


def _require_place(repository: Repository) -> None:
    if repository.refs.exclude(name__startswith=refs.PULL_REQUESTS).count() >= MAX_REFS:
        raise QuotaExceeded(f"{repository.full_name} has {MAX_REFS:,} branches and tags.", fix="Delete some first.")


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
        outbox.record(Kind.REF_MOVED, repository, by.user, ref=ref, old=old.oid, new=None, is_push=False)
