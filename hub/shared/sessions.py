"""Browser sessions: their proofs with times (password and second factor), and names of browsers from User-Agent."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.http import HttpRequest

from registry.kernel.callers import has_second_factor
from registry.models import User

RECENT_SECONDS = settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
PROOFS = frozenset({"password", "mfa", "socialaccount", "link"})


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
