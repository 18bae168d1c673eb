"""Operations that will go away, and the headers that say so: RFC 9745 (Deprecation) and RFC 8594 (Sunset).

docs/stability.md has the policy. An operation is listed here from the release that announces it to the one without it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest
from django.utils.http import http_date


@dataclass(frozen=True, slots=True)
class Deprecated:
    """When an operation was deprecated, when it may be gone, and the page that says what replaces it."""

    since: datetime
    sunset: datetime
    link: str  # an address below /docs

    def headers(self) -> dict[str, str]:
        """Return the headers of its answers."""
        since, sunset = (int(at.astimezone(UTC).timestamp()) for at in (self.since, self.sunset))
        link = f'<{self.link}>; rel="deprecation"; type="text/html"'
        return {"Deprecation": f"@{since}", "Sunset": http_date(sunset), "Link": link}


DEPRECATED: Mapping[str, Deprecated] = {}  # "GET /api/v1/adapters/{ns}/{name}" →


def headers_of(request: HttpRequest) -> dict[str, str]:
    """Return what an answer says of its own operation."""
    match = request.resolver_match
    if not DEPRECATED or match is None:
        return {}
    template = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", match.route)
    deprecated = DEPRECATED.get(f"{request.method} /{template}")
    return deprecated.headers() if deprecated else {}
