"""Guards of the pages of moderators and administrators: for everybody else they do not exist."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse

from hub.shared.sessions import lacks_second_factor
from hub.site.refusals import View, not_found
from hub.site.sign_in.sessions import ask_again, needs_recent_authentication
from hub.site.visitor import caller
from registry.kernel import policy


def for_moderators(view: View) -> View:
    """Wrap a page for moderators and administrators; others get the page of what does not exist.

    Moderators who have a second factor must have passed it in this session.
    """

    @wraps(view)
    def guarded(request: HttpRequest, **route: Any) -> HttpResponse:
        if not caller(request).is_staff:
            return not_found(request)
        return ask_again(request) if lacks_second_factor(request) else view(request, **route)

    return guarded


def for_administrators(view: View) -> View:
    """Wrap a page for administrators of the hub; others get the page of what does not exist."""

    @wraps(view)
    def guarded(request: HttpRequest, **route: Any) -> HttpResponse:
        if not policy.is_hub_admin(caller(request)):
            return not_found(request)
        return ask_again(request) if lacks_second_factor(request) else view(request, **route)

    return guarded


def guard_administration(site: AdminSite) -> None:
    """Ask for the second factor before every view of an administration; call it before its routes are made.

    A view whose attribute `needs_recent_proof` is true runs only for a person who proved who they are lately.
    """
    admin_view: Callable[..., Any] = site.admin_view

    def guarded(view: View, cacheable: bool = False) -> Any:
        is_dangerous = getattr(view, "needs_recent_proof", False)
        return admin_view((needs_recent_authentication if is_dangerous else for_administrators)(view), cacheable)

    site.admin_view = guarded  # type: ignore[method-assign, assignment]  # each view and each page of rows goes through it
