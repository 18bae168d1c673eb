"""A hub that is read-only: every request that could change something is refused, unless it is listed here."""

import re

from django.http import HttpRequest
from django.urls import get_script_prefix

from registry.kernel import switches

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# A read-only hub still takes signing in and out, acts of moderators and administrators, reports of a directory that a
# person left or is back, revocations of leaked tokens, and questions that are asked by POST because they are long. A
# batch of Git LFS says in its body whether it uploads.
TAKEN = re.compile(
    r"(?:login|logout|settings/security/confirm|oauth|moderation|admin)(?:/|$)|api/v1/moderation/|api/credentials/revoke$"
    r"|scim/v2/Users/\d+$"
    r"|api/v1/(?:fit|lookup)$|api/(?:models|datasets|spaces)/[^/]+/[^/]+/paths-info/|api/validate-yaml$"
    r"|(?:xet/(?:at/[^/]+/)?)?v1/telemetry$|(?:(?:datasets|spaces)/)?[^/]+/[^/]+\.git/info/lfs/objects/batch$"
)


def refuse_write(request: HttpRequest) -> None:
    """Raise HubReadOnly for a request that could change something while the hub is read-only."""
    if request.method not in SAFE and not TAKEN.match(request.path.removeprefix(get_script_prefix())):
        switches.require_writable()
