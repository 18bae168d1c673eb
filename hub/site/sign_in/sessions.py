"""The session of a person: when it was used, what it has proven lately, whom it lets see the pages of those who run the
hub, and the form that waits for a proof.

    at("settings/tokens", needs_recent_authentication(tokens_page), "tokens")

A person who entered the password, a passkey or a code of the second factor within RECENT_SECONDS goes on. Everybody
else is sent to a page that asks for one of them, and comes back: what a form sent is kept in the session, and is sent
again by the address that leads back (`send_kept_form`).
"""

import math
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext

from hub.identity import RECENT_SECONDS, has_proven_lately, lacks_second_factor
from hub.site.refusals import View, not_found
from hub.site.visitor import caller, page_before, person
from registry.kernel import policy
from registry.models import User


def needs_recent_authentication(view: View, *, to_read: bool = False) -> View:
    """Wrap a view so that it changes something only for a person who proved lately who they are.

    With the second factor, if they have one. Strangers are refused by the view, as they see nothing of what there is;
    `to_read` asks before the page is shown, too, and raises what visitor.person raises.
    """

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **route: Any) -> HttpResponse:
        is_asked = request.method == "POST" and caller(request).user is not None
        if to_read:
            is_asked = bool(person(request))
        return ask_again(request) if is_asked and not has_proven_lately(request) else view(request, *args, **route)

    vars(checked)["asks_for_proof"] = True
    return checked


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


def ask_again(request: HttpRequest) -> HttpResponse:
    """Send the person to the page that asks for the password or the second factor, and from there back."""
    target = request.get_full_path()
    if request.method == "POST" and not (target := _keep_form(request)):
        target = page_before(request, reverse("settings"))
        messages.warning(request, gettext("Nothing has changed yet. Confirm that it is you, then send the form again."))
    return HttpResponseRedirect(f"{reverse(_question(request))}?{urlencode({'next': target})}")


KEPT_FORM = "kept_form"
KEY = "send-form"  # the parameter of the address that sends the form again
MAX_KEPT = 64 << 10


def _keep_form(request: HttpRequest) -> str:
    """Keep what a form sent, in place of an earlier one; return the address that sends it again.

    "" for one that has files, or is longer than MAX_KEPT.
    """
    sent = request.POST.urlencode()
    if request.FILES or len(sent) > MAX_KEPT:
        return ""
    key = secrets.token_urlsafe(16)
    kept = {"key": key, "path": request.path, "query": request.GET.urlencode(), "form": sent, "at": time.time()}
    request.session[KEPT_FORM] = kept
    return f"{request.path}?{urlencode({KEY: key})}"


def send_kept_form(view: View) -> View:
    """Wrap a view so that it gets the form that was kept for it, once, as if it came now.

    Only this session knows the key, so no other site can send it. An address whose form is gone leads to the page.
    """

    @wraps(view)
    def resumed(request: HttpRequest, *args: Any, **route: Any) -> HttpResponse:
        if request.method == "GET" and (key := request.GET.get(KEY)):
            kept = request.session.pop(KEPT_FORM, {"key": "", "path": "", "at": 0})
            is_kept = constant_time_compare(kept["key"], key) and kept["path"] == request.path
            if not is_kept or time.time() - kept["at"] > RECENT_SECONDS:
                return HttpResponseRedirect(request.path)
            request.method, request.META["QUERY_STRING"] = "POST", kept["query"]
            request.GET, request.POST = QueryDict(kept["query"]), QueryDict(kept["form"])
        return view(request, *args, **route)

    return resumed


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


LONGEST = "longest"  # seconds from signing in, of a session that ends before SESSION_DAYS


def note_use(request: HttpRequest) -> None:
    """Note that the session of this request is used now, and when it ends: some time after it, or after signing in."""
    session, now = request.session, int(time.time())
    session["seen_at"] = now
    longest = min(session.get(LONGEST, math.inf), settings.SESSION_DAYS * 24 * 3600)
    left = session.setdefault("began_at", now) + longest - now
    session.set_expiry(timedelta(seconds=min(left, settings.SESSION_COOKIE_AGE)))
    UserSession.objects.create_from_request(request)
