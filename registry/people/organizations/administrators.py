"""Decides about the members and settings of an organisation, for its administrators."""

from django.db.models import Exists, OuterRef

from registry.kernel import policy
from registry.kernel.callers import Caller, in_force
from registry.kernel.errors import NotAllowed, SignInRequired
from registry.models import Membership, Organization, Token, User


def administers(caller: Caller, organization: Organization) -> bool:
    """Return whether the caller is an administrator of the organisation, or one of the hub in a session."""
    role = caller.roles.get(organization.namespace_id)
    return role == Membership.Role.ADMIN or policy.is_hub_admin(caller)


def is_by_administrator() -> Exists:
    """Return the condition on rows with `organization` and `by` that `by` administers the organisation now."""
    rows = Membership.objects.filter(in_force(), role=Membership.Role.ADMIN)
    return Exists(rows.filter(organization=OuterRef("organization"), user=OuterRef("by")))


def require_administrator(caller: Caller, organization: Organization, *, writing: bool = True) -> User:
    """Return the administrator of the organisation who asks. Raises SignInRequired, NotAllowed, SecondFactorRequired.

    A token needs the write role, or without `writing` the read role.
    """
    if caller.user is None:
        raise SignInRequired("What an organisation is, and who is in it, is its administrators' business: sign in.")
    if not administers(caller, organization):
        policy.refuse_locked(caller, organization.namespace)
        raise NotAllowed(
            f"{caller.user.username} does not administer {organization}.", fix="Ask one of its administrators."
        )
    token = caller.token
    if token is not None and token.role != Token.Role.WRITE and (writing or token.role != Token.Role.READ):
        raise NotAllowed(f"The token {token.name!r} may not do this: its role is {token.role}.")
    return caller.user
