"""The caller of a request: by bearer token, by session, or anonymous; and how lately a session proved who it is.

A bad token is refused, never ignored.
"""

import base64
import binascii
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest, HttpResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request

from hub.addresses import address_of
from registry.kernel import audit, traces
from registry.kernel.callers import has_second_factor
from registry.kernel.errors import NotAllowed, SignInRequired, TokenInvalid
from registry.kernel.policy import NOBODY, Caller
from registry.models import User
from registry.people.tokens import tokens

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
RECENT_SECONDS = settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
PROOFS = frozenset({"password", "mfa", "socialaccount", "link"})


def caller_of(request: HttpRequest) -> Caller:
    """Return the caller of a request. Raises TokenInvalid for bad credentials."""
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if header:
        caller = tokens.caller_of(_token_in(header))
        audit.credential.set(f"token:{caller.token.name}" if caller.token else "")
        return caller
    user = request.user
    return Caller(user=user) if isinstance(user, User) and user.is_active else NOBODY


def caller_again(request: HttpRequest, before: Caller) -> Caller:
    """Return the caller of a request that goes on, as they are now; `before` is who began it.

    Raises TokenInvalid for a token that ended meanwhile, SignInRequired where the session did, or its person may no
    longer sign in.
    """
    if request.META.get("HTTP_AUTHORIZATION"):
        return caller_of(request)
    request.session = type(request.session)(request.session.session_key)
    request.user = get_user(request)
    caller = caller_of(request)
    if before.user is not None and caller.user is None:
        raise SignInRequired("The session that started this has ended.")
    return caller


def wire_caller(request: HttpRequest) -> Caller:
    """Return the caller on Hub routes, where a session counts for safe methods only: they carry no CSRF token."""
    caller = caller_of(request)
    return NOBODY if caller.token is None and request.method not in SAFE else caller


def _token_in(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    if scheme.lower() == "basic":  # git-lfs sends the token as the password
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            pass
    raise TokenInvalid("Invalid credentials in Authorization header")


class CallerMiddleware:
    """Middleware: sets request.caller from the session alone, and what the audit log tells of each request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        audit.request_id.set(traces.current())
        audit.client.set(audit.Client(address_of(request), request.headers.get("User-Agent", "")))
        audit.credential.set("")
        request.caller = SessionCaller(request)  # type: ignore[attr-defined]  # a lazy attribute of our own
        return self.get_response(request)


class SessionCaller(Caller):
    """The caller of a website page; the session is read only if a page asks."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.token = None

    @property
    def user(self) -> User | None:  # type: ignore[override]  # lazily, instead of the dataclass field
        user = self._request.user
        return user if isinstance(user, User) and user.is_active else None


class RestAuthentication(BaseAuthentication):
    """Sets request.auth to the Caller; a session must pass the CSRF check for unsafe methods."""

    def authenticate(self, request: Request) -> tuple[User | None, Caller] | None:
        django_request = request._request
        caller = caller_of(django_request)
        if caller.user is not None and caller.token is None and request.method not in SAFE:
            _require_csrf(django_request)
        return caller.user, caller

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _require_csrf(request: HttpRequest) -> None:
    def answer(_: HttpRequest) -> HttpResponse:
        return HttpResponse()

    check = CSRFCheck(answer)
    check.process_request(request)
    if reason := check.process_view(request, answer, (), {}):
        raise NotAllowed(f"This request lacks a valid CSRF token: {reason}.", fix="Send X-CSRFToken, or use a token.")


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # drf-spectacular registers subclasses
    """Tells the OpenAPI document how to authenticate."""

    target_class = "hub.identity.RestAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


def authenticated_at(request: HttpRequest) -> float:
    """Return when this session last proved who it is (Unix time), or 0."""
    return max((proof["at"] for proof in _proofs(request)), default=0.0)


def is_recent(request: HttpRequest, seconds: float = RECENT_SECONDS) -> bool:
    """Return whether this session proved who it is within the last `seconds`."""
    return time.time() - authenticated_at(request) < seconds


def passed_second_factor(request: HttpRequest) -> bool:
    """Return whether this session has passed a second factor: an app's code, a passkey or a recovery code."""
    return any(proof["method"] == "mfa" for proof in _proofs(request))


def lacks_second_factor(request: HttpRequest) -> bool:
    """Return whether the person has a second factor that this session has not passed."""
    return not passed_second_factor(request) and isinstance(request.user, User) and has_second_factor(request.user)


def has_proven_lately(request: HttpRequest) -> bool:
    """Return whether this session proved who it is lately, with the second factor if the person has one."""
    return is_recent(request) and not lacks_second_factor(request)


def _proofs(request: HttpRequest) -> Iterable[Mapping[str, Any]]:
    user = request.user
    if not isinstance(user, User):
        return []
    return [record for record in get_authentication_records(request, user) if record.get("method") in PROOFS]


# Parts of the header of a browser; the first that fits counts, because each browser names its ancestors too.
BROWSERS = (
    *(("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("HeadlessChrome/", "Chromium")),
    *(("Chrome/", "Chrome"), ("Safari/", "Safari")),
)
SYSTEMS = (
    *(("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows")),
    *(("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux")),
)


def browser_name(user_agent: str) -> str:
    """Return the browser and the system for people, such as "Firefox on Linux"; other programs by their first word."""
    browser = next((name for sign, name in BROWSERS if sign in user_agent), user_agent.partition("/")[0][:40])
    system = next((name for sign, name in SYSTEMS if sign in user_agent), "")
    return f"{browser or 'Unknown browser'} on {system}" if system else browser or "Unknown browser"
