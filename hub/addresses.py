"""Parses revisions in paths, where slashes may be encoded."""

from urllib.parse import unquote

from django.http import HttpRequest

from hub.moved import raw_path
from registry.kernel.errors import RevisionNotFound
from registry.models import Repository, Revision
from registry.repos import pull
from registry.repos.viewers import Viewer


def locate(request: HttpRequest, repository: Repository, tail: str, viewer: Viewer) -> tuple[Revision, str]:
    """Return the revision and the path in the rest of an address, rev/path. Raises RevisionNotFound.

    A revision with encoded slashes (refs%2Fpr%2F1) is one segment. Sent decoded, the longest name that exists wins.
    """
    rev, path = split(request, tail)
    try:
        return pull.resolve_pulled(repository, rev, viewer), path
    except RevisionNotFound as refusal:
        if "/" in rev or not path:
            raise
        try:
            return pull.resolve_within(repository, f"{rev}/{path}", viewer)
        except RevisionNotFound:
            raise refusal from None  # it may say more: for example that the version of the short name is yanked


def split(request: HttpRequest, tail: str) -> tuple[str, str]:
    """Return the first segment of the rest of an address, which may hold encoded slashes, and what follows it."""
    before = request.path_info[: len(request.path_info) - len(tail)].count("/")
    segments = raw_path(request).split("/", before)
    first, _, rest = (segments[before] if len(segments) > before else tail).partition("/")
    return unquote(first), unquote(rest)
