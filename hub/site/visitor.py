"""The visitor of a page: the session's caller, the person behind it, and the page that they come from."""

from collections.abc import Iterable
from typing import cast
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from registry.kernel import policy
from registry.kernel.errors import SignInRequired
from registry.kernel.policy import Caller
from registry.models import Namespace, User


def safe_next(request: HttpRequest) -> str:
    """Return where to go after signing in: a path of this site, never another host."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    return target if _is_path(target) else reverse("home")


def page_before(request: HttpRequest, otherwise: str) -> str:
    """Return the path of the page whose form was sent, or the path `otherwise` if it is not known."""
    before = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(before, {request.get_host()}, require_https=request.is_secure()):
        return otherwise
    parts = urlsplit(before)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return target if _is_path(target) else otherwise


def _is_path(target: str) -> bool:
    """Return whether an address stays on this site; `//example.org` and `/\\example.org` do not."""
    is_here = url_has_allowed_host_and_scheme(target, allowed_hosts=None)
    return is_here and target.startswith("/") and "\\" not in target


def caller(request: HttpRequest) -> Caller:
    """The caller that CallerMiddleware put on the request."""
    return cast(Caller, request.caller)  # type: ignore[attr-defined]  # an attribute of our own


def person(request: HttpRequest) -> User:
    """The signed-in person. Raises SignInRequired, which becomes a trip to the sign-in page and back."""
    user = caller(request).user
    if user is None:
        raise SignInRequired("Sign in to see this page.")
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
