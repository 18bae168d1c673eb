"""What an organisation's administrators may do with its members."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from registry import audit, people
from registry.errors import NamespaceNotFound, NotAllowed, SignInRequired, ValueInvalid
from registry.models import Membership, Namespace, Organization, Token, User
from registry.policy import Caller


def members(name: str, by: Caller) -> list[Membership]:
    """Return the organisation's members by name. Raises NamespaceNotFound, SignInRequired, NotAllowed."""
    organization = _administered(name, by, writing=False)
    return list(organization.memberships.select_related("user").order_by("user__username"))


def put_member(name: str, username: str, role: str, by: Caller) -> Membership:
    """Give a person a role, a new one or another one.

    Raises what `members` raises, and ValueInvalid for an unknown role or when no administrator would be left.
    """
    organization = _administered(name, by)
    user = person(username)
    with _alone_with(organization):
        people.set_member(organization, user, role, by=by.user)
    return organization.memberships.select_related("user").get(user=user)


def drop_member(name: str, username: str, by: Caller) -> None:
    """Take a person out; who is not in it already is fine. Raises what `put_member` raises."""
    organization, user = _administered(name, by), person(username)
    with _alone_with(organization):
        gone = organization.memberships.filter(user=user).first()
        if gone is None:
            return
        gone.delete()
        audit.record(by.user, "organization:member", f"{organization}/{user}", before=gone.role)


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


def person(username: str) -> User:
    """Return the person of that name, whatever the case. Raises NamespaceNotFound."""
    user = User.objects.filter(namespace__name__lower=username.lower()).first()
    if user is None:
        raise NamespaceNotFound(f"There is no person {username!r}.")
    return user


def _administered(name: str, by: Caller, *, writing: bool = True) -> Organization:
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
