"""The pages of those who run the hub are shown to them alone."""

from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

from hub.identity import lacks_second_factor
from hub.site.refusals import View, not_found
from hub.site.sign_in.sessions import ask_again
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
