"""What may be done with organisations: founded, changed, and their members given roles."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction

from registry import audit, names, people, policy
from registry.errors import NamespaceNotFound, NameTaken, NotAllowed, QuotaExceeded, SignInRequired, ValueInvalid
from registry.models import Membership, Namespace, Organization, Token, User
from registry.policy import Caller

MAX_ADMINISTERED = 50  # organisations of one person: names are for those who use them


def found(name: str, *, by: User | None, full_name: str = "", private_by_default: bool = False) -> Organization:
    """Make an organisation whose first administrator is `by`; the operator's have the members he names.

    Raises NameInvalid, NameTaken, ValueInvalid.
    """
    names.check_namespace(name)
    full_name = names.check_text(full_name, "full name", 200)
    try:
        with transaction.atomic():
            namespace = Namespace.objects.create(name=name, kind=Namespace.Kind.ORGANIZATION)
            organization = Organization.objects.create(
                namespace=namespace, full_name=full_name, private_by_default=private_by_default
            )
            if by is not None:
                Membership.objects.create(organization=organization, user=by, role=Membership.Role.ADMIN)
            audit.record(by, "organization:create", name)
    except IntegrityError:
        raise NameTaken(f"The name {name!r} is already taken.") from None
    return organization


def begin(name: str, by: Caller, *, full_name: str = "", private_by_default: bool = False) -> Organization:
    """Found an organisation in one's own name.

    Raises QuotaExceeded, what `found` raises and what require_person raises.
    """
    user = policy.require_person(by, "found an organisation")
    if user.memberships.filter(role=Membership.Role.ADMIN).count() >= MAX_ADMINISTERED:
        raise QuotaExceeded(f"You administer {MAX_ADMINISTERED} organisations already.", fix="Leave one first.")
    return found(name, by=user, full_name=full_name, private_by_default=private_by_default)


def change(organization: Organization, *, full_name: str, private_by_default: bool, by: User | None) -> bool:
    """Change an organisation's name for people and its default visibility; returns whether anything changed."""
    new = {"full_name": names.check_text(full_name, "full name", 200), "private_by_default": private_by_default}
    old = {field: getattr(organization, field) for field in new}
    if new == old:
        return False
    with transaction.atomic():
        Organization.objects.filter(pk=organization.pk).update(**new)
        audit.record(by, "organization:change", str(organization), before=old, after=new)
    return True


def check_member_role(role: str) -> None:
    """Raise ValueInvalid for a role that no member of an organisation can have."""
    if role not in Membership.Role.values:
        raise ValueInvalid(f"There is no role {role!r}.", fix=f"Use one of {', '.join(Membership.Role.values)}.")


def set_member(organization: Organization, user: User, role: str, *, by: User | None) -> bool:
    """Give a person a role in an organisation; returns whether anything changed. Raises ValueInvalid."""
    check_member_role(role)
    old = organization.memberships.filter(user=user).values_list("role", flat=True).first()
    if old == role:
        return False
    with transaction.atomic():
        Membership.objects.update_or_create(organization=organization, user=user, defaults={"role": role})
        audit.record(by, "organization:member", f"{organization}/{user}", before=old, after=role)
    return True


def members(name: str, by: Caller) -> list[Membership]:
    """Return the organisation's members by name. Raises NamespaceNotFound, SignInRequired, NotAllowed."""
    organization = administered(name, by, writing=False)
    return list(organization.memberships.select_related("user").order_by("user__username"))


def put_member(name: str, username: str, role: str, by: Caller) -> Membership:
    """Give a person a role, a new one or another one.

    Raises what `members` raises, and ValueInvalid for an unknown role or when no administrator would be left.
    """
    organization = administered(name, by)
    user = people.person(username)
    with _alone_with(organization):
        set_member(organization, user, role, by=by.user)
    return organization.memberships.select_related("user").get(user=user)


def drop_member(name: str, username: str, by: Caller) -> None:
    """Take a person out; who is not in it already is fine. Raises what `put_member` raises."""
    organization, user = administered(name, by), people.person(username)
    with _alone_with(organization):
        gone = organization.memberships.filter(user=user).first()
        if gone is None:
            return
        gone.delete()
        audit.record(by.user, "organization:member", f"{organization}/{user}", before=gone.role)


def leave(name: str, by: Caller) -> None:
    """Leave an organisation; who is not in it already is fine.

    Raises NamespaceNotFound, ValueInvalid for its last administrator, and what require_person raises.
    """
    user, organization = policy.require_person(by, "leave an organisation"), _named(name)
    with _alone_with(organization):
        gone = organization.memberships.filter(user=user).first()
        if gone is None:
            return
        gone.delete()
        audit.record(user, "organization:member", f"{organization}/{user}", before=gone.role)


def joined(name: str, by: Caller) -> Namespace:
    """Return the namespace of an organisation that the caller is a member of.

    Raises NamespaceNotFound, SignInRequired, NotAllowed.
    """
    if by.user is None:
        raise SignInRequired("What an organisation keeps is its members' business: sign in.")
    organization = _named(name)
    if organization.namespace_id not in by.roles:
        raise NotAllowed(f"{by.user.username} is not a member of {organization}.")
    return organization.namespace


def administered(name: str, by: Caller, *, writing: bool = True) -> Organization:
    """Return an organisation for who may change it. Raises NamespaceNotFound, SignInRequired, NotAllowed."""
    if by.user is None:
        raise SignInRequired("Members of an organisation are its administrators' business: sign in.")
    organization = _named(name)
    if by.roles.get(organization.namespace_id) != Membership.Role.ADMIN:
        raise NotAllowed(
            f"{by.user.username} does not administer {organization}.", fix="Ask one of its administrators."
        )
    if by.token is not None and by.token.role != Token.Role.WRITE and (writing or by.token.role != Token.Role.READ):
        raise NotAllowed(f"The token {by.token.name!r} may not do this: its role is {by.token.role}.")
    return organization


def _named(name: str) -> Organization:
    organization = Organization.objects.select_related("namespace").filter(namespace__name__lower=name.lower()).first()
    if organization is None:
        raise NamespaceNotFound(f"There is no organisation {name!r}.")
    return organization


@contextmanager
def _alone_with(organization: Organization) -> Iterator[None]:
    """One change of members at a time: two administrators who drop each other must not both succeed."""
    with transaction.atomic():
        Organization.objects.select_for_update().get(pk=organization.pk)
        yield
        if not organization.memberships.filter(role=Membership.Role.ADMIN).exists():
            raise ValueInvalid(
                f"{organization} would be left without an administrator.",
                fix="Make another member an administrator first.",
            )
