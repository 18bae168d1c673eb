"""Requests that may change nothing: on a hub that is read-only, and in the view below /verified.

On a read-only hub every request that could change something is refused, unless it is listed here. Below /verified are
the same routes, where `main` means the newest version that passed. The prefix is taken for what the hub is mounted
below, so that every address in an answer keeps it. It is set for one request; `viewer` says in its routes who reads
and how.
"""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import get_script_prefix, set_script_prefix

from registry.kernel import site_settings
from registry.kernel.errors import ViewReadOnly
from registry.kernel.policy import Caller
from registry.repos.refs import Viewer

PREFIX = "/verified"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_DIALECTS = frozenset({"hf", "xet"})


class VerifiedView:
    """Middleware: takes the prefix off, and leads from pages below it to the pages themselves."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(f"{PREFIX}/"):
            return self.get_response(request)
        mounted_below = get_script_prefix()
        request.path_info = request.path_info.removeprefix(PREFIX)
        request.mounted_below = mounted_below  # type: ignore[attr-defined]  # an attribute of our own
        set_script_prefix(f"{mounted_below}{PREFIX[1:]}/")
        try:
            return self.get_response(request)
        finally:
            set_script_prefix(mounted_below)

    def process_view(self, request: HttpRequest, *_: object) -> HttpResponseBase | None:
        match = request.resolver_match
        is_dialect = match is not None and not _DIALECTS.isdisjoint(match.app_names)
        if not is_below(request) or is_dialect or request.path_info.startswith("/api/"):
            return None
        if request.method not in SAFE:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        query = request.META.get("QUERY_STRING", "")
        path = f"{request.mounted_below}{request.path_info[1:]}"  # type: ignore[attr-defined]  # as above
        return HttpResponseRedirect(path + (f"?{query}" if query else ""))


def is_below(request: HttpRequest) -> bool:
    """Return whether the request came to an address below /verified."""
    return hasattr(request, "mounted_below")


def viewer(request: HttpRequest, caller: Caller) -> Viewer:
    """Return the reader as routes resolve names of revisions for them."""
    return Viewer(caller, only_verified=is_below(request))


# Questions that are asked by POST because they are long; a batch of Git LFS says in its body whether it uploads. The
# language is kept in a cookie of the browser alone.
QUESTIONS = (
    r"api/v1/(?:fit|lookup)$|api/(?:models|datasets|spaces)/[^/]+/[^/]+/paths-info/|api/validate-yaml$"
    r"|(?:xet/(?:at/[^/]+/)?)?v1/telemetry$|(?:(?:datasets|spaces)/)?[^/]+/[^/]+\.git/info/lfs/objects/batch$"
    r"|settings/language$"
)
_QUESTION = re.compile(QUESTIONS)
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
    if not _QUESTION.match(path):
        site_settings.read_again()
    if not ASKED.match(path):
        refuse_below_verified(request)
    if not TAKEN.match(path):
        site_settings.require_writable()


def refuse_below_verified(request: HttpRequest) -> None:
    """Raise ViewReadOnly for a request below /verified that would prepare a change."""
    if is_below(request):
        raise ViewReadOnly("Addresses under /verified are read-only; they serve the newest version that passed.")
