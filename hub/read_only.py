"""A hub that is read-only: every request that could change something is refused, unless it is listed here."""

import re

from django.http import HttpRequest
from django.urls import get_script_prefix

from hub import verified_view
from hub.verified_view import SAFE
from registry.kernel import switches
from registry.kernel.errors import ViewReadOnly

# Questions that are asked by POST because they are long; a batch of Git LFS says in its body whether it uploads. The
# language is kept in a cookie of the browser alone.
QUESTIONS = (
    r"api/v1/(?:fit|lookup)$|api/(?:models|datasets|spaces)/[^/]+/[^/]+/paths-info/|api/validate-yaml$"
    r"|(?:xet/(?:at/[^/]+/)?)?v1/telemetry$|(?:(?:datasets|spaces)/)?[^/]+/[^/]+\.git/info/lfs/objects/batch$"
    r"|settings/language$"
)
ASKED = re.compile(rf"{QUESTIONS}|oauth/")
# A read-only hub still takes signing in and out, acts of moderators and administrators, reports of a directory that a
# person left or is back, and revocations of leaked tokens.
TAKEN = re.compile(
    r"(?:login|logout|settings/security/confirm|oauth|moderation|admin)(?:/|$)|api/v1/moderation/|api/credentials/revoke$"
    rf"|scim/v2/Users/\d+$|{QUESTIONS}"
)


def refuse_write(request: HttpRequest) -> None:
    """Raise for a request that could change something: HubReadOnly while the hub is, ViewReadOnly below /verified."""
    if request.method in SAFE:
        return
    path = request.path.removeprefix(get_script_prefix())
    if not ASKED.match(path):
        refuse_below_verified(request)
    if not TAKEN.match(path):
        switches.require_writable()


def refuse_below_verified(request: HttpRequest) -> None:
    """Raise ViewReadOnly for a request below /verified that would prepare a change."""
    if verified_view.is_below(request):
        raise ViewReadOnly("Below /verified this hub is read-only: it shows the newest version that passed.")
