"""Renames and transfers of repositories, and renames of organisations."""

from collections.abc import Sequence

from django.db import IntegrityError, transaction

from registry.kernel import audit, outbox, policy, quotas, refusals, seams
from registry.kernel.errors import NameTaken, QuotaExceeded
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import FormerName, FormerNamespace, NameRule, Namespace, Organization, Repository, User
from registry.people import accounts, name_rules
from registry.people.organizations import organizations
from registry.publish import repositories
from registry.repos import bases
from registry.repos.lists import search_terms

MAX_FORMER = 5  # former names of one organisation, which stay reserved
BATCH = 500


def move(repository: Repository, full_name: str, by: Caller) -> Repository:
    """Rename or transfer a repository; the old name redirects until a new repository takes it.

    The caller must administer the repository and be allowed to create in the target namespace. Raises NameInvalid,
    NotAllowed, RepositoryExists, and what policy.require raises.
    """
    namespace_name, name = names.split_id(full_name)
    names.check_name(name)
    if name.lower() != repository.name.lower():
        name_rules.require_allowed(name, NameRule.Scope.REPOSITORY)
    with repositories.alone_of_its_name(full_name, repository.type):
        current = policy.require_now(by, Permission.CONFIGURE, repository)
        return _move(current, _target(namespace_name, name, current.type, by), name, by)


def _target(namespace_name: str, name: str, type: str, by: Caller) -> Namespace:
    namespace = accounts.namespace_for_new(namespace_name)
    policy.require_namespace(by, namespace, name, type)
    return namespace


def _move(current: Repository, target: Namespace, name: str, by: Caller) -> Repository:
    before, old_name, owner = current.full_name, current.name, current.namespace_id
    if before == f"{target.name}/{name}":
        return current
    outbox.record(outbox.Kind.MOVED, current, by.user, before=before, after=f"{target.name}/{name}", owner=target.pk)
    current.namespace, current.name = target, name
    current.search_text = search_terms.words_of(current)
    current.save(update_fields=["namespace", "name", "search_text"])
    if owner != target.pk:
        seams.give_up(current, by.user)  # the new owner trusts nobody yet
        quotas.require_repository_quota(target)
        quotas.require_room_for_moved(current)
    seams.name(current)
    _remember(current, before)
    if name != old_name:
        name_rules.observe_repository(current, by.user)
    audit.record(by.user, "adapter:move", before, about=current, before=before, after=current.full_name)
    return current


def _remember(repository: Repository, before: str) -> None:
    # Its new name, and its former names if it returns to one, must not redirect to another repository.
    FormerName.objects.filter(
        type=repository.type, full_name__in=[repository.full_name.lower(), before.lower()]
    ).delete()
    if before.lower() != repository.full_name.lower():
        FormerName.objects.create(type=repository.type, full_name=before.lower(), repository=repository)


# --- organisations ---------------------------------------------------------------------------------------------------
def rename(name: str, new: str, by: Caller) -> Organization:
    """Give an organisation another name, and with it all its repositories; its old addresses lead to the new ones.

    The former name stays reserved for it: nobody else gets it, and the owner may take it back. Raises NameInvalid,
    NameTaken, NameReserved for a name under which one of them would be a base, QuotaExceeded, AdapterQuarantined for
    what moderators hold back, and what organizations.administered raises.
    """
    organization = organizations.require_administered(name, by)
    user = policy.require_administered(by, organization)
    if new != organization.namespace.name:
        names.check_namespace(new)
        name_rules.require_allowed(new, NameRule.Scope.NAMESPACE)
        try:
            with transaction.atomic():
                for feature in seams.joined():
                    feature.take_name(new, user)
                _rename(organization.namespace_id, new, user)
        except IntegrityError as error:
            if "namespace_name_unique" not in str(error):
                raise
            raise NameTaken(f"The name {new!r} is already taken.") from None
    return Organization.objects.select_related("namespace").get(pk=organization.pk)


def _rename(owner: int, new: str, by: User) -> None:
    owned = Repository.objects.filter(namespace=owner).order_by("pk")
    for repository in owned.select_for_update(of=("self",), no_key=True):  # before their owner, as pushes do
        if repository.is_quarantined:
            raise refusals.quarantined(repository)
    namespace = Namespace.objects.select_for_update(no_key=True).get(pk=owner)
    before, namespace.name = namespace.name, new
    moving = list(owned.select_related("namespace"))
    if before.lower() != new.lower():
        bases.require_none_taken(new, moving)
    _record_moves(moving, before, namespace, by)
    namespace.save(update_fields=["name"])
    name_rules.observe_namespace(namespace, by)
    _give_up(namespace, before, by)
    _follow(moving, namespace)
    audit.record(by, "organization:rename", before, about=namespace, before=before, after=new)


def _record_moves(moving: Sequence[Repository], before: str, namespace: Namespace, by: User) -> None:
    """Record one MOVED event for each repository, as for a single move."""
    outbox.record_all(
        outbox.event(
            outbox.Kind.MOVED,
            repository,
            by,
            before=f"{before}/{repository.name}",
            after=f"{namespace.name}/{repository.name}",
            owner=namespace.pk,
        )
        for repository in moving
    )


def _give_up(namespace: Namespace, before: str, by: User) -> None:
    accounts.refuse_former(namespace.name, of=namespace)
    if before.lower() == namespace.name.lower():
        return
    FormerNamespace.objects.filter(name=namespace.name.lower()).delete()
    if namespace.former.count() >= MAX_FORMER:
        raise QuotaExceeded(
            f"{before} has been renamed {MAX_FORMER} times, the limit.", fix="Use one of its former names."
        )
    FormerNamespace.objects.create(name=before.lower(), namespace=namespace, by=by)


def _follow(moving: Sequence[Repository], namespace: Namespace) -> None:
    for repository in moving:
        repository.namespace = namespace
        repository.search_text = search_terms.words_of(repository)
    Repository.objects.bulk_update(moving, ["search_text"], batch_size=BATCH)
