"""Recent authentication: what a session has proven, and when; views of dangerous deeds ask for it again.

    @needs_recent_authentication
    def delete(request): …

A person who entered the password, a passkey or a code of the second factor within RECENT_SECONDS goes on. Everybody
else is sent to a page that asks for one of them, and comes back. What a form sent is not kept: the person is told so,
and comes back to the page with the form.
"""

import time
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any
from urllib.parse import urlencode, urlsplit

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from hub.site.visitor import person
from registry.models import User

View = Callable[..., HttpResponse]
RECENT_SECONDS = settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
PROOFS = frozenset({"password", "mfa"})


def authenticated_at(request: HttpRequest) -> float:
    """Return when this session last proved who it is (Unix time), or 0."""
    return max((proof["at"] for proof in _proofs(request)), default=0.0)


def is_recent(request: HttpRequest, seconds: float = RECENT_SECONDS) -> bool:
    """Return whether this session proved who it is within the last `seconds`."""
    return time.time() - authenticated_at(request) < seconds


def has_second_factor(user: User) -> bool:
    """Return whether the person has an authenticator app or a passkey."""
    factors = Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.RECOVERY_CODES)
    return bool(factors.exists())


def passed_second_factor(request: HttpRequest) -> bool:
    """Return whether this session has passed a second factor: an app's code, a passkey or a recovery code."""
    return any(proof["method"] == "mfa" for proof in _proofs(request))


def lacks_second_factor(request: HttpRequest) -> bool:
    """Return whether the person has a second factor that this session has not passed."""
    return not passed_second_factor(request) and has_second_factor(person(request))


def needs_recent_authentication(view: View) -> View:
    """Wrap a view so that it runs only for a person who proved who they are lately, with the second factor they have.

    A stranger is sent to the sign-in page. Raises what visitor.person raises.
    """

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **route: Any) -> HttpResponse:
        person(request)
        if is_recent(request) and not lacks_second_factor(request):
            return view(request, *args, **route)
        return ask_again(request)

    return checked


def ask_again(request: HttpRequest) -> HttpResponse:
    """Send the person to the page that asks for the password or the second factor, and from there back."""
    target = request.get_full_path()
    if request.method not in {"GET", "HEAD"}:
        target = _page_before(request)
        messages.warning(request, "Nothing was changed yet. Confirm that it is you, then send the form again.")
    return HttpResponseRedirect(f"{reverse(_question(request))}?{urlencode({'next': target})}")


def _question(request: HttpRequest) -> str:
    """Return the name of the page that asks: for the second factor where it is missing, else for the password."""
    if not lacks_second_factor(request):
        return "account_reauthenticate"
    has_app = Authenticator.objects.filter(user=person(request), type=Authenticator.Type.TOTP).exists()
    return "mfa_reauthenticate" if has_app else "mfa_reauthenticate_webauthn"


def _page_before(request: HttpRequest) -> str:
    """Return the path of the page whose form was sent, or the person's settings if that is not known."""
    before = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(before, {request.get_host()}, require_https=request.is_secure()):
        return reverse("settings")
    parts = urlsplit(before)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _proofs(request: HttpRequest) -> Iterable[dict[str, Any]]:
    user = request.user
    if not isinstance(user, User):
        return []
    return [record for record in get_authentication_records(request, user) if record.get("method") in PROOFS]
