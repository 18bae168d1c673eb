"""Create, change and delete organisations; give members roles and remove them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from registry.kernel import audit, policy
from registry.kernel.callers import has_second_factor, owner_has_factor
from registry.kernel.errors import (
    LastAdministrator,
    NamespaceNotFound,
    NameTaken,
    NotAllowed,
    OrganizationNotEmpty,
    QuotaExceeded,
    SecondFactorRequired,
    SessionRequired,
    SignInRequired,
    ValueInvalid,
)
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import FormerNamespace, Invitation, Membership, Namespace, Organization, Repository, Token, User
from registry.people import accounts

MAX_ADMINISTERED = 50  # organisations that one person may administer, so that nobody hoards names
GIVEN_UP = timedelta(days=30)  # how long a name that was given up still counts: it stays reserved
NAMED_IN_REFUSAL = 5  # repositories


def create_organization(
    name: str, *, by: User | None, full_name: str = "", private_by_default: bool = False
) -> Organization:
    """Create an organisation whose first administrator is `by`; with None, for the operator, it has no member yet.

    Raises NameInvalid, NameTaken, ValueInvalid.
    """
    names.check_namespace(name)
    full_name = names.check_text(full_name, "full name", 200)
    try:
        with transaction.atomic():
            namespace = accounts.take_name(name, Namespace.Kind.ORGANIZATION, by)
            organization = Organization.objects.create(
                namespace=namespace, full_name=full_name, private_by_default=private_by_default
            )
            if by is not None:
                Membership.objects.create(organization=organization, user=by, role=Membership.Role.ADMIN)
            audit.record(
                by, "organization:create", name, about=namespace, after={"private_by_default": private_by_default}
            )
    except IntegrityError:
        raise NameTaken(f"The name {name!r} is already taken.") from None
    return organization


def create_as(name: str, by: Caller, *, full_name: str = "", private_by_default: bool = False) -> Organization:
    """Create an organisation that the caller administers.

    Raises QuotaExceeded, and what create_organization and require_person raise.
    """
    user = policy.require_person(by, "found an organisation")
    check_few_names(user)
    return create_organization(name, by=user, full_name=full_name, private_by_default=private_by_default)


def check_few_names(user: User) -> None:
    """Raise QuotaExceeded if the person holds the maximum of names, including those they gave up lately."""
    names_held = user.memberships.filter(role=Membership.Role.ADMIN).count()
    names_held += FormerNamespace.objects.filter(by=user, at__gt=timezone.now() - GIVEN_UP).count()
    if names_held >= MAX_ADMINISTERED:
        raise QuotaExceeded(
            f"{user.username} administers {MAX_ADMINISTERED} organisations (with former ones), the limit.",
            fix="Leave one first.",
        )


def change_organization(
    organization: Organization, *, full_name: str, private_by_default: bool, by: User | None
) -> bool:
    """Change an organisation's name for people and its default visibility; returns whether anything changed."""
    new = {"full_name": names.check_text(full_name, "full name", 200), "private_by_default": private_by_default}
    old = {field: getattr(organization, field) for field in new}
    if new == old:
        return False
    with transaction.atomic():
        Organization.objects.filter(pk=organization.pk).update(**new)
        audit.record(by, "organization:change", str(organization), about=organization, before=old, after=new)
    return True


def require_second_factor(organization: Organization, is_required: bool, by: Caller) -> bool:
    """Require a second factor of an organisation's members, or no longer; returns whether anything changed.

    `by` administers it. Raises SecondFactorRequired for somebody who has none, and SessionRequired for a token that
    would end the requirement.
    """
    if by.user is None or organization.requires_second_factor == is_required:
        return False
    if by.token is not None and not is_required:
        raise SessionRequired(
            "The second-factor requirement can only be removed in a browser session, not with a token."
        )
    if is_required and not has_second_factor(by.user):
        raise SecondFactorRequired("You cannot require a second factor without having one yourself.")
    with transaction.atomic():
        Organization.objects.filter(pk=organization.pk).update(requires_second_factor=is_required)
        before, after = organization.requires_second_factor, is_required
        audit.record(
            by.user, "organization:second-factor", str(organization), about=organization, before=before, after=after
        )
    organization.requires_second_factor = is_required
    return True


def check_member_role(role: str) -> None:
    """Raise ValueInvalid for a role that no member of an organisation can have."""
    if role not in Membership.Role.values:
        raise ValueInvalid(f"Unknown role {role!r}.", f"Use one of {', '.join(Membership.Role.values)}.", "role")


def set_member(organization: Organization, user: User, role: str, *, by: User | None) -> bool:
    """Give a person a role in an organisation; returns whether anything changed.

    Raises ValueInvalid, and QuotaExceeded for one who administers the maximum: else people who hand organisations over
    would found any number of them. The operator and directories (`by=None`) may.
    """
    check_member_role(role)
    old = organization.memberships.filter(user=user).values_list("role", flat=True).first()
    if old == role:
        return False
    if role == Membership.Role.ADMIN and by is not None:
        check_few_names(user)
    with transaction.atomic():
        Membership.objects.update_or_create(organization=organization, user=user, defaults={"role": role})
        audit.record(by, "organization:member", f"{organization}/{user}", about=organization, before=old, after=role)
    return True


def admit(organization: Organization, user: User, role: str, *, by: User | None) -> bool:
    """Do as set_member does for a person who joins: an invitation to them goes, and so does the note that they left."""
    has_changed = set_member(organization, user, role, by=by)
    organization.invitations.filter(user=user).delete()
    return has_changed


def list_members(name: str, by: Caller) -> list[Membership]:
    """Return the members by name, each with `has_factor` and teams. Raises what require_administered raises."""
    organization = require_administered(name, by, writing=False)
    return list(_with_factors(organization).order_by("user__username"))


def get_member(name: str, username: str, by: Caller) -> Membership:
    """Return one member as `list_members` does. Raises NamespaceNotFound too."""
    organization = require_administered(name, by, writing=False)
    member = _with_factors(organization).filter(user__username__lower=username.lower()).first()
    if member is None:
        raise NamespaceNotFound(f"{username[:100]!r} is not a member of {organization}.")
    return member


def _with_factors(organization: Organization) -> QuerySet[Membership]:
    rows = organization.memberships.select_related("user").annotate(has_factor=owner_has_factor())
    return rows.prefetch_related("teams__team")


def remove_member(name: str, username: str, by: Caller) -> None:
    """Remove a person from an organisation, or leave it; a no-op for a person who is no member.

    Raises LastAdministrator, NamespaceNotFound, and for other people what require_administered raises.
    """
    if by.user is not None and username.lower() == by.user.username.lower():
        leave(name, by)
        return
    organization, user = require_administered(name, by), accounts.get_person(username)
    with lock_members(organization):
        end_membership(organization, user, by.user)


def leave(name: str, by: Caller) -> None:
    """Leave an organisation; a no-op for a person who is no member.

    Raises NamespaceNotFound, LastAdministrator, and what require_person raises.
    """
    user = policy.require_person(by, "leave an organisation", publishes=False)
    organization = _named(name)
    with lock_members(organization):
        end_membership(organization, user, user)


def end_membership(organization: Organization, user: User, by: User | None) -> None:
    """End a membership, if there is one, and note when it ended; call it under `lock_members`."""
    membership = organization.memberships.filter(user=user).first()
    if membership is None:
        return
    membership.delete()
    state = Invitation.State.LEFT if by == user else Invitation.State.REMOVED
    end = {"role": membership.role, "by": user, "state": state, "answered_at": timezone.now()}
    Invitation.objects.update_or_create(organization=organization, user=user, defaults=end)
    audit.record(by, "organization:member", f"{organization}/{user}", about=organization, before=membership.role)


def delete_organization(name: str, by: Caller) -> None:
    """Delete an organisation that holds no repositories; its name stays reserved, so that nobody can pose as it.

    Its collections go with it. Raises OrganizationNotEmpty and what require_administered raises.
    """
    organization = require_administered(name, by)
    with transaction.atomic():
        organization = Organization.objects.select_for_update().get(pk=organization.pk)
        binned = Repository.with_binned.filter(namespace=organization.namespace_id).order_by("pk")
        list(binned.select_for_update(of=("self",)))  # before their owner, as pushes do; a hold takes this lock too
        namespace = Namespace.objects.select_for_update().get(pk=organization.namespace_id)
        _check_empty(namespace)
        _empty_bin(namespace, by)
        former = FormerNamespace(name=namespace.name.lower(), by=by.user)
        Token.objects.filter(user__works_for=namespace).delete()
        User.objects.filter(works_for=namespace).update(is_active=False)  # its robots and trusted publishers
        state = {"full_name": organization.full_name}
        audit.record(by.user, "organization:delete", namespace.name, about=namespace, before=state)
        organization.delete()
        namespace.delete()  # a repository created there at this moment fails by its foreign key
        former.save()


def _empty_bin(namespace: Namespace, by: Caller) -> None:
    binned = Repository.with_binned.filter(namespace=namespace)
    if binned.filter(Q(quarantined_at__isnull=False) | Q(revisions__quarantined_at__isnull=False)).exists():
        raise OrganizationNotEmpty(
            f"{namespace.name} has deleted repositories that moderators keep as evidence.",
            fix="Ask the moderators of this hub to release or delete them.",
        )
    for repository in binned:
        state = {"type": repository.type, "private": repository.private, "binned_at": str(repository.binned_at)}
        audit.record(by.user, "adapter:purge", repository.full_name, about=repository, before=state)
    binned.delete()


def _check_empty(namespace: Namespace) -> None:
    rows = Repository.objects.filter(namespace=namespace)
    first_repositories = list(rows.order_by("type", "name").values_list("type", "name")[: NAMED_IN_REFUSAL + 1])
    if first_repositories:
        examples = [f"{namespace.name}/{name} ({type})" for type, name in first_repositories[:NAMED_IN_REFUSAL]]
        more = rows.count() - NAMED_IN_REFUSAL
        raise OrganizationNotEmpty(
            f"{namespace.name} holds {', '.join(examples)}{f' and {more} more' if more > 0 else ''}.",
            fix="Move each of them (`hf repos move`) or delete it (`hf repos delete`) first.",
        )


def namespace_of_member(name: str, by: Caller) -> Namespace:
    """Return the namespace of an organisation that the caller is a member of.

    Raises NamespaceNotFound, SignInRequired, NotAllowed, SecondFactorRequired.
    """
    if by.user is None:
        raise SignInRequired("Sign in as a member of the organisation to see its storage.")
    organization = _named(name)
    policy.refuse_locked(by, organization.namespace)
    if organization.namespace_id not in by.memberships:
        raise NotAllowed(f"{by.user.username} is not a member of {organization}.")
    return organization.namespace


def require_administered(name: str, by: Caller, *, writing: bool = True) -> Organization:
    """Return an organisation that the caller administers. Raises NamespaceNotFound, SignInRequired, NotAllowed."""
    if by.user is None:
        raise SignInRequired("Sign in as an administrator of the organisation to see its settings and members.")
    organization = _named(name)
    policy.require_administered(by, organization, writing=writing)
    return organization


def _named(name: str) -> Organization:
    organization = Organization.objects.select_related("namespace").filter(namespace__name__lower=name.lower()).first()
    if organization is None:
        raise NamespaceNotFound(f"There is no organisation {name!r}.")
    return organization


@contextmanager
def lock_organization(organization: Organization) -> Iterator[None]:
    """Allow one change of members or teams at a time. Raises NamespaceNotFound if it was deleted meanwhile."""
    with transaction.atomic():
        if not Organization.objects.select_for_update(no_key=True).filter(pk=organization.pk).exists():
            raise NamespaceNotFound(f"There is no organisation {organization.namespace.name!r}.")
        yield


@contextmanager
def lock_members(organization: Organization) -> Iterator[None]:
    """Lock an organisation for a change of members: two administrators who remove each other must not both succeed.

    Raises LastAdministrator if no administrator who can sign in would be left, and what lock_organization raises.
    """
    with lock_organization(organization):
        admins = organization.memberships.filter(role=Membership.Role.ADMIN, user__is_active=True)
        had_some = admins.exists()
        yield
        if had_some and not admins.exists():
            raise LastAdministrator(f"{organization} would be left without an administrator.")
