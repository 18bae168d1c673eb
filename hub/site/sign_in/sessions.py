"""The session of a person: when it was used, and what it has proven lately.

    @needs_recent_authentication
    def delete(request): …

A person who entered the password, a passkey or a code of the second factor within RECENT_SECONDS goes on. Everybody
else is sent to a page that asks for one of them, and comes back. What a form sent is not kept: the person is told so,
and comes back to the page with the form.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext

from hub.identity import is_recent, lacks_second_factor
from hub.site.refusals import View
from hub.site.visitor import page_before, person
from registry.models import User


def needs_recent_authentication(view: View) -> View:
    """Wrap a view so that it runs only for a person who proved who they are lately, with the second factor they have.

    A stranger is sent to the sign-in page. Raises what visitor.person raises.
    """

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **route: Any) -> HttpResponse:
        person(request)
        return view(request, *args, **route) if has_proven_lately(request) else ask_again(request)

    return checked


def has_proven_lately(request: HttpRequest) -> bool:
    """Return whether this session proved who it is lately, with the second factor if the person has one."""
    return is_recent(request) and not lacks_second_factor(request)


def ask_again(request: HttpRequest) -> HttpResponse:
    """Send the person to the page that asks for the password or the second factor, and from there back."""
    target = request.get_full_path()
    if request.method not in {"GET", "HEAD"}:
        target = page_before(request, reverse("settings"))
        messages.warning(request, gettext("Nothing has changed yet. Confirm that it is you, then send the form again."))
    return HttpResponseRedirect(f"{reverse(_question(request))}?{urlencode({'next': target})}")


def _question(request: HttpRequest) -> str:
    """Return the name of the page that asks: for the second factor where it is missing, else for the password."""
    if not lacks_second_factor(request):
        by_password = person(request).has_usable_password() and settings.PASSWORD_SIGN_IN
        return "account_reauthenticate" if by_password else "confirm-by-provider"
    has_app = Authenticator.objects.filter(user=person(request), type=Authenticator.Type.TOTP).exists()
    return "mfa_reauthenticate" if has_app else "mfa_reauthenticate_webauthn"


NOTED_EVERY_SECONDS = 600


class LastSeen:
    """Middleware: notes the use of a session, at most once in ten minutes, and only where a view asked for the person.

    Everything else costs nothing: no session is read for it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        user = getattr(request, "_cached_user", None)  # Django keeps the session's person there
        if isinstance(user, User) and user.is_active and answer.status_code < 500:
            _note(request)
        return answer


def _note(request: HttpRequest) -> None:
    if request.session.session_key and time.time() - request.session.get("seen_at", 0) >= NOTED_EVERY_SECONDS:
        note_use(request)


def note_use(request: HttpRequest) -> None:
    """Note that the session of this request is used now."""
    request.session["seen_at"] = int(time.time())
    UserSession.objects.create_from_request(request)
