"""How often one caller may ask in a minute, by family of routes, and the headers that say how much of it is left."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hub import counters
from hub.origin import network_of
from registry.kernel import quotas, site_settings
from registry.kernel.policy import Caller

WINDOW_SECONDS = 60
DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Quota:
    """How many requests a window allows; clients of the Hub read the name as one word."""

    name: str
    requests: int


class Family(Enum):
    """A family of routes that share a quota: of somebody nobody knows, and of somebody signed in."""

    REST = Quota("anonymous", 60), Quota("signed-in", 600)
    API = Quota("api", 300), Quota("api", 3000)
    FILES = Quota("resolvers", 1500), Quota("resolvers", 12_000)
    PAGES = Quota("pages", 300), Quota("pages", 1200)
    SIGN_IN = Quota("signin", 30), Quota("signin", 30)  # making accounts, guessing passwords, asking for device codes


@dataclass(frozen=True)
class Taken:
    """One request counted: what is left of the quota, and in how many seconds it is whole again."""

    quota: Quota
    left: int
    reset_seconds: int
    is_refused: bool

    def headers(self) -> dict[str, str]:
        """Return the headers of draft-ietf-httpapi-ratelimit-headers-10, and Retry-After of a refusal."""
        said = {
            "RateLimit-Policy": f'"{self.quota.name}";q={self.quota.requests};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.quota.name}";r={self.left};t={self.reset_seconds}',
        }
        return said | ({"Retry-After": str(self.reset_seconds)} if self.is_refused else {})

    @property
    def sentence(self) -> str:
        """Why it is refused and what to do, for people."""
        return " ".join(self.words)

    @property
    def words(self) -> tuple[str, str]:
        """The two apart, as a refusal takes them."""
        return (
            f"More than {self.quota.requests} requests in a minute.",
            f"Wait {self.reset_seconds} seconds; who is signed in, or sends a token, may ask more often.",
        )


def take(request: HttpRequest, family: Family, caller: Caller | None = None) -> Taken | None:
    """Count one request of a caller, by all web processes together; None while throttling is off."""
    user = caller.user if caller else None
    return _take(family, is_known=user is not None, who=str(user.pk) if user else network_of(request))


def take_of_token(family: Family, token: int) -> Taken | None:
    """Count one request that comes by way of a token of this id, whose holder is looked up only later."""
    return _take(family, is_known=True, who=f"token-{token}")


def take_bytes(caller: Caller, size: int, how: str = "bytes") -> None:
    """Count bytes that somebody delivers within a day. Raises QuotaExceeded as quotas.check_daily_upload does.

    Those of each road (`how`) by themselves: what goes by Xet is sent, and then put together.
    """
    if settings.QUOTA_BYTES and caller.user:
        quotas.check_daily_upload(caller.user, counters.count(f"{how}:{caller.user.pk}", DAY_SECONDS, size))


def _take(family: Family, *, is_known: bool, who: str) -> Taken | None:
    if site_settings.get_setting("throttle") == "off":
        return None
    quota, now = family.value[is_known], time.time()
    key = f"{family.name}:{is_known:d}:{who}:{int(now // WINDOW_SECONDS)}"
    used = counters.count(key, 2 * WINDOW_SECONDS)
    reset_seconds = WINDOW_SECONDS - int(now % WINDOW_SECONDS)
    return Taken(quota, max(0, quota.requests - used), reset_seconds, used > quota.requests)


SIGN_IN_PATHS = frozenset({"/login", "/join", "/password", "/oauth/device"})
# What is no page, or counts for itself. The addresses of files in full: a folder of a repository may be called raw.
NOT_PAGES = re.compile(
    r"/(?:api|xet|oauth|static)/|/v1/telemetry$|/(?:livez|readyz|metrics)$|/[^/]+/resolve/"
    r"|/(?:(?:datasets|spaces)/|(?!datasets/|spaces/))[^/]+/[^/]+(?:/(?:resolve|raw)/|\.git/info/lfs/)"
)


class PageLimits:
    """Counts what people and crawlers open; routes for programs count for themselves, where they know who asks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        taken = self._take(request)
        if taken is None:
            return self.get_response(request)
        answer = _refusal(request, taken) if taken.is_refused else self.get_response(request)
        for name, value in taken.headers().items():
            answer.headers.setdefault(name, value)
        return answer

    def _take(self, request: HttpRequest) -> Taken | None:
        if request.method == "POST" and request.path_info in SIGN_IN_PATHS:
            return take(request, Family.SIGN_IN)
        if NOT_PAGES.match(request.path_info):
            return None
        return take(request, Family.PAGES, request.caller)  # type: ignore[attr-defined]  # from CallerMiddleware


def _refusal(request: HttpRequest, taken: Taken) -> HttpResponse:
    if request.path_info.startswith("/oauth/"):  # RFC 8628 has a word for it
        said = f'{{"error": "slow_down", "error_description": "{taken.sentence}"}}'
        return HttpResponse(said, status=429, content_type="application/json")
    return render(request, "site/often.html", {"sentence": taken.sentence}, status=429)
