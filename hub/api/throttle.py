"""Rate limits of our REST, as Django REST framework asks for them; the counting is hub/limits.py."""

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from hub import limits
from hub.limits import Family, Taken
from registry.kernel.policy import Caller


class PerMinute(BaseThrottle):
    """Counts one request of the caller; `taken` is None while throttling is off."""

    taken: Taken | None = None

    def __init__(self, family: Family) -> None:
        self.family = family

    def allow_request(self, request: Request, view: Any) -> bool:
        caller = request.auth if isinstance(request.auth, Caller) else None
        self.taken = limits.take(request._request, self.family, caller)
        return self.taken is None or not self.taken.is_refused

    def wait(self) -> float | None:
        return self.taken.reset_seconds if self.taken else None

    def headers(self) -> dict[str, str]:
        """Return the headers that say what is left; Retry-After comes from the framework."""
        return self.taken.headers() if self.taken else {}
