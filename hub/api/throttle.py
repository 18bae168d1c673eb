"""How often one caller may ask our REST in a minute, and the RateLimit headers that say how much of it is left."""

import time
from dataclasses import dataclass
from typing import Any

from django.core.cache import caches
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from hub.origin import address_of
from registry import site
from registry.policy import Caller

WINDOW_SECONDS = 60


@dataclass(frozen=True)
class Quota:
    """How many requests a window allows."""

    name: str
    requests: int


ANONYMOUS = Quota("anonymous", 60)
SIGNED_IN = Quota("signed-in", 600)


class PerMinute(BaseThrottle):
    """Counts in windows of a minute; each web process for itself, so N of them allow up to N times as much."""

    quota: Quota | None = None  # None: throttling is off, and there is nothing to say
    left = 0
    reset_seconds = 0

    def allow_request(self, request: Request, view: Any) -> bool:
        if site.value("throttle") == "off":
            return True
        user = request.auth.user if isinstance(request.auth, Caller) else None
        self.quota = SIGNED_IN if user else ANONYMOUS
        who = user.pk if user else address_of(request._request)
        now = time.time()
        used = _count(f"{self.quota.name}:{who}:{int(now // WINDOW_SECONDS)}")
        self.left = max(0, self.quota.requests - used)
        self.reset_seconds = WINDOW_SECONDS - int(now % WINDOW_SECONDS)
        return used <= self.quota.requests

    def wait(self) -> float | None:
        return self.reset_seconds

    def headers(self) -> dict[str, str]:
        """Return the headers of draft-ietf-httpapi-ratelimit-headers-10."""
        if self.quota is None:
            return {}
        return {
            "RateLimit-Policy": f'"{self.quota.name}";q={self.quota.requests};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.quota.name}";r={self.left};t={self.reset_seconds}',
        }


def _count(key: str) -> int:
    counters = caches["counters"]
    counters.add(key, 0, 2 * WINDOW_SECONDS)
    try:
        return counters.incr(key)
    except ValueError:  # dropped in between, because the cache is full
        return 1
