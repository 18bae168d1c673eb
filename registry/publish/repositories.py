"""Create and delete repositories, and change who may see them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from registry.kernel import audit, outbox, policy, refusals, seams, site_settings
from registry.kernel.errors import NameReserved, NamespaceNotFound, RepositoryExists, SignInRequired
from registry.kernel.limits import quotas
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import FormerName, ModerationDecision, NameRule, Repository, Revision
from registry.people import accounts, known_names, name_rules
from registry.publish import push
from registry.repos import lookup, served_bases
from registry.sql.prepared import Prepared
from registry.sql.prepared_writes import PreparedDelete, insert_row

DELETIONS = 3  # attempts


def create(
    full_name: str, by: Caller, *, private: bool | None = None, type: str = "model", files: Sequence[push.Inline] = ()
) -> Repository:
    """Create a repository with a first revision of these files; `private=None` uses the namespace's default.

    Raises SignInRequired, NotAllowed, NameInvalid, and RepositoryExists with the existing one's `full_name` and `path`.
    """
    if by.user is None:
        raise SignInRequired("Creating a repository needs a signed-in person.")
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
        repository = insert_row(
            Repository(type=type, namespace=namespace, name=name, private=private, created_by=by.user)
        )
        quotas.require_repository_quota(namespace)
        _TAKE_FORMER_NAME(type=type, full_name=repository.full_name.lower())  # it no longer redirects
        seams.name(repository)
        main = push.begin(repository, by, first)
        known_names.observe_repository(repository, by.user)
        audit.record(
            by.user,
            "adapter:create",
            repository.full_name,
            about=repository,
            after={"type": type, "private": private},
        )
        outbox.record(Kind.CREATED, repository, by.user, ref=main.name, revision=main.revision.oid)
    return repository


_TAKE_FORMER_NAME = PreparedDelete(lambda type, full_name: FormerName.objects.filter(type=type, full_name=full_name))


@contextmanager
def alone_of_its_name(full_name: str, type: str) -> Iterator[None]:
    """Open a transaction that gives a repository this name.

    Raises RepositoryExists with the existing one's address, and NameReserved for the name of a base or of a removed
    repository in the bin.
    """
    served_bases.require_free(full_name, type)
    _require_no_tombstone(full_name, type)
    try:
        with transaction.atomic():
            yield
    except (IntegrityError, NamespaceNotFound) as error:
        first = lookup.named(full_name, type).select_related("namespace").first()
        if "repository_name_unique" not in str(error) or first is None:
            # The namespace may have been deleted since the check.
            accounts.namespace_for_new(full_name.partition("/")[0])
            raise
        # A caller who may create here may learn all taken names, also those of quarantined repositories.
        message = f"A {type} repository called {first.full_name} already exists."
        raise RepositoryExists(message, full_name=first.full_name, path=first.get_absolute_url()) from None


def _removed(type: str, namespace: str, name: str) -> QuerySet[Repository, tuple[int]]:
    """Return the repositories in the bin that had this name (in lower case) when moderators removed them."""
    binned = Repository.with_binned.filter(binned_at__isnull=False, quarantined_at__isnull=False, type=type)
    last = ModerationDecision.objects.filter(repository=OuterRef("pk"), revision__isnull=True).order_by("-pk")
    removed = binned.annotate(last=Subquery(last.values("action")[:1])).filter(last=ModerationDecision.Action.TAKEDOWN)
    return removed.filter(namespace__name__lower=namespace, name__lower=name).values_list("pk")[:1]


_TOMBSTONE = Prepared(_removed, str, str, str)


def _require_no_tombstone(full_name: str, type: str) -> None:
    """Raise NameReserved if a removed repository had the name: nobody gets it, so that nothing poses as it."""
    namespace, _, name = full_name.lower().partition("/")
    if _TOMBSTONE(type, namespace, name):
        raise NameReserved(f"Moderators removed {full_name}: its name cannot be taken.", fix="Choose another name.")


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


def publish_first(repository: Repository, by: Caller) -> None:
    """Make a repository public whose first version its maker has pushed; a no-op for anybody else.

    An upload creates it as private, so that no list shows it before it holds something; its maker could have created
    it as public, whether or not they may change the visibility of what is there.
    """
    with transaction.atomic():
        current = policy.require_now(by, Permission.PUSH, repository)
        if by.user is not None and current.created_by_id == by.user.pk:
            _set_private(repository, False, by)


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
