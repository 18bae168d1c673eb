"""The paths of requests: as the client sent them, below the mount point, and under a repository's new name."""

from urllib.parse import unquote, urlsplit

from django.http import HttpRequest
from django.urls import get_script_prefix

from registry.kernel.errors import RepositoryMoved


def raw_path(request: HttpRequest) -> str:
    """Return the path as the client sent it: WSGI's own has lost the difference between %2F and a slash."""
    raw = request.META.get("RAW_URI") or ""
    path = urlsplit(raw).path if raw.startswith(("http://", "https://")) else raw.partition("?")[0]
    if unquote(path) == request.path:  # the server took the prefix off; a proxy that did leaves none here
        path = path.removeprefix(mounted_below())
    return path or request.get_full_path_info().partition("?")[0]


def mounted_below() -> str:
    """Return the path that the hub is mounted below, such as /hub; "" at the root of its host."""
    return get_script_prefix().rstrip("/")


def at_new_name(request: HttpRequest, moved: RepositoryMoved) -> str:
    """Return the same address under the repository's new name, relative to this host, with the query.

    The answer is a 307, after which clients send the same method and body again.
    """
    old, new = str(moved.facts["asked"]).split("/"), str(moved.facts["full_name"]).split("/")
    segments = raw_path(request).split("/")
    for at in range(1, len(segments) - 1):
        owner, name = unquote(segments[at]), unquote(segments[at + 1])
        suffix = name[len(old[1]) :]
        if owner == old[0] and name == old[1] + suffix and suffix in ("", ".git"):
            segments[at : at + 2] = [new[0], new[1] + suffix]
            break
    query = request.META.get("QUERY_STRING", "")
    return mounted_below() + "/".join(segments) + (f"?{query}" if query else "")
