"""The visitor of a page: the session's caller, and the person behind it where a page needs one."""

from collections.abc import Iterable
from typing import cast

from django.http import HttpRequest

from registry.kernel import policy
from registry.kernel.errors import SignInRequired
from registry.kernel.policy import Caller
from registry.models import Namespace, User


def caller(request: HttpRequest) -> Caller:
    """The caller that CallerMiddleware put on the request."""
    return cast(Caller, request.caller)  # type: ignore[attr-defined]  # an attribute of our own


def person(request: HttpRequest) -> User:
    """The signed-in person. Raises SignInRequired, which becomes a trip to the sign-in page and back."""
    user = caller(request).user
    if user is None:
        raise SignInRequired("This page needs a signed-in person.")
    return user


def owners(user: User, roles: Iterable[str]) -> list[str]:
    """Return the owners that a new thing may have: the person, and organisations where they have one of these roles."""
    joined = user.memberships.filter(role__in=roles).select_related("organization__namespace")
    return [user.username, *sorted(membership.organization.namespace.name for membership in joined)]


def owners_of_new_repository(by: Caller) -> list[str]:
    """Return the owners that a new repository may have, those where teams alone open some names too."""
    own = Namespace.objects.filter(pk__in=[*by.roles, *by.memberships])
    names = [row.name for row in own if policy.may_create_in(by, row.pk) and row.name != str(by.user)]
    return [str(by.user), *sorted(names)]
