"""Rate limits: requests a minute for each caller and family of routes, and the headers that say what is left.

Downloads are counted here too, at most one an hour for each caller: one pull makes many requests, by HTTP or by Xet.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hub.addresses import network_of
from hub.server import shared_cache
from registry.kernel import quotas, site_settings
from registry.kernel.errors import TooOften
from registry.kernel.policy import Caller
from registry.models import Repository
from registry.repos import download_counts

WINDOW_SECONDS = 60
DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Quota:
    """The requests that a window allows; clients of the Hub read the name as one word."""

    name: str
    requests: int


class Family(Enum):
    """Routes that share a quota: (for an anonymous caller, for a signed-in one)."""

    REST = Quota("anonymous", 60), Quota("signed-in", 600)
    API = Quota("api", 300), Quota("api", 3000)
    FILES = Quota("resolvers", 1500), Quota("resolvers", 12_000)
    PAGES = Quota("pages", 300), Quota("pages", 1200)
    SIGN_IN = Quota("signin", 30), Quota("signin", 30)  # making accounts, guessing passwords


@dataclass(frozen=True)
class Taken:
    """The state of a quota after one request: the requests left, and the seconds until it is full again."""

    quota: Quota
    left: int
    reset_seconds: int
    is_refused: bool

    def headers(self) -> dict[str, str]:
        """Return the headers of draft-ietf-httpapi-ratelimit-headers-10, and Retry-After of a refusal."""
        fields = {
            "RateLimit-Policy": f'"{self.quota.name}";q={self.quota.requests};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.quota.name}";r={self.left};t={self.reset_seconds}',
        }
        return fields | ({"Retry-After": str(self.reset_seconds)} if self.is_refused else {})

    @property
    def sentence(self) -> str:
        """The reason of the refusal and the fix, in one text."""
        return " ".join(self.words)

    @property
    def words(self) -> tuple[str, str]:
        """The reason and the fix, as a refusal takes them."""
        return (
            f"More than {self.quota.requests} requests in a minute.",
            f"Wait {self.reset_seconds} seconds; who is signed in, or sends a token, may ask more often.",
        )


def take(request: HttpRequest, family: Family, caller: Caller | None = None) -> Taken | None:
    """Count one request of a caller, by all web processes together; None while throttling is off."""
    user = caller.user if caller else None
    return _take(family, is_known=user is not None, who=str(user.pk) if user else network_of(request))


def take_of_token(family: Family, token: int) -> Taken | None:
    """Count one request of a token by its id alone; its owner is looked up later."""
    return _take(family, is_known=True, who=f"token-{token}")


def take_bytes(caller: Caller, size: int, how: str = "bytes") -> None:
    """Count the bytes that a user uploads within a day. Raises QuotaExceeded above quotas.daily_limit.

    Each protocol (`how`) has its own count: bytes of a Xet upload are sent once and then unpacked.
    """
    if caller.user and (limit := quotas.daily_limit(caller)):
        quotas.check_daily_upload(caller.user, shared_cache.count(f"{how}:{caller.user.pk}", DAY_SECONDS, size), limit)


REPORTS_AN_HOUR = 30
TRUSTED_REPORTS_AN_HOUR = 600  # of a reporter whom an administrator trusts, such as a scanner


def take_report(caller: Caller) -> None:
    """Count one abuse report of a person. Raises TooOften above the quota of an hour; throttling off is no limit."""
    user = caller.user
    if user is None or site_settings.get_setting("throttle") == "off":
        return
    allowed = TRUSTED_REPORTS_AN_HOUR if user.is_trusted_reporter else REPORTS_AN_HOUR
    if shared_cache.count(f"reports:{user.pk}:{int(time.time() // 3600)}", 2 * 3600) > allowed:
        raise TooOften(f"You sent more than {allowed} reports within an hour.", fix="Try again in an hour.")


def _take(family: Family, *, is_known: bool, who: str) -> Taken | None:
    return take_of(family.value[is_known], f"{family.name}:{is_known:d}:{who}")


def take_of(quota: Quota, who: str) -> Taken | None:
    """Count one request of somebody against a quota; `who` names both. None while throttling is off."""
    if site_settings.get_setting("throttle") == "off":
        return None
    now = time.time()
    key = f"{who}:{int(now // WINDOW_SECONDS)}"
    used = shared_cache.count(key, 2 * WINDOW_SECONDS)
    reset_seconds = WINDOW_SECONDS - int(now % WINDOW_SECONDS)
    return Taken(quota, max(0, quota.requests - used), reset_seconds, used > quota.requests)


SIGN_IN_PATHS = frozenset(
    {
        "/login",
        "/login/second-factor",
        "/login/passkey",
        "/join",
        "/password/reset",
        "/settings/password",
    }
)
BY_PROVIDER = re.compile(r"/login/with/[^/]+$")  # a provider that ends many sessions (…/logout) signs nobody in
# Addresses that are no page or count for themselves. Those of files in full: a folder may be called raw.
NOT_PAGES = re.compile(
    r"/(?:api|xet|oauth|scim|static|s3|v2)/|/(?:s3|v2)$|/v1/telemetry$|/(?:livez|readyz|metrics|status)$|/[^/]+/resolve/"
    r"|/(?:(?:datasets|spaces)/|(?!datasets/|spaces/))[^/]+/[^/]+(?:/(?:resolve|raw)/|\.git/info/lfs/)"
)


class PageLimits:
    """Middleware: counts page views; routes for programs count for themselves, where they know the caller."""

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
        path = request.path_info
        if request.method == "POST" and (path in SIGN_IN_PATHS or BY_PROVIDER.match(path)):
            return take(request, Family.SIGN_IN)
        if NOT_PAGES.match(path):
            return None
        return take(request, Family.PAGES, request.caller)  # type: ignore[attr-defined]  # from CallerMiddleware


def _refusal(request: HttpRequest, taken: Taken) -> HttpResponse:
    return render(request, "site/often.html", {"sentence": taken.sentence}, status=429)


AGAIN_SECONDS = 3600
SURE_SECONDS = 60  # a process that has counted a caller does not ask the broker about them again for so long


def count_download(request: HttpRequest, repository: Repository, caller: Caller, oid: str = "") -> None:
    """Count a download of a repository by a caller, for the version that they began with (its commit id, if known).

    It is written to the database within seconds.
    """
    who = caller.user.pk if caller.user else network_of(request)
    key = f"download:{repository.pk}:{who}"
    is_new_here = caches["counters"].add(f"asked:{key}", 1, SURE_SECONDS)
    if is_new_here and shared_cache.count(key, AGAIN_SECONDS) == 1:
        download_counts.count_download(repository.pk, oid)
