"""Addresses: the one under which a client reached this hub, for absolute links, and the paths of requests.

A path is read as the client sent it, where slashes may be encoded, below the mount point; and built under a
repository's new name.
"""

from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urljoin, urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.urls import get_script_prefix

from hub import read_only
from hub.server.proxies import client_of
from registry.kernel.errors import RepositoryMoved, RevisionNotFound
from registry.models import Repository, Revision
from registry.repos import pull
from registry.repos.refs import Viewer


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


def origin(request: HttpRequest) -> str:
    """Return e.g. http://127.0.0.1:9000, or https://example.org/hub for a hub that is mounted below /hub.

    It is on the request's own host when that is one of ours, else DOVETAIL_PUBLIC_URL. Clients check that links lie
    below the endpoint they were given. A proxy is believed only if it is a trusted one.
    """
    client = client_of(request)
    scheme = client.scheme or request.scheme or "http"
    host = client.host or request.META.get("HTTP_HOST", "")
    name, _ = split_domain_port(host)
    is_ours = scheme in {"http", "https"} and name and validate_host(name, settings.ALLOWED_HOSTS)
    if not is_ours:
        return f"{settings.PUBLIC_URL}{read_only.PREFIX if read_only.is_below(request) else ''}"
    return f"{scheme}://{host}{get_script_prefix().rstrip('/')}"


def absolute(request: HttpRequest, path: str) -> str:
    """Return the whole address of a path that `reverse` gave, which begins with what the hub is mounted below."""
    return urljoin(origin(request), path)


def address_of(request: HttpRequest) -> str:
    """Return the client's address: the peer's, or what trusted proxies say of theirs."""
    return client_of(request).address


def network_of(request: HttpRequest) -> str:
    """Return what requests are counted by: the client's address, of an IPv6 one the /64 that one machine may have."""
    address = client_of(request).address
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


def site_of(request: HttpRequest) -> str:
    """Return the larger network of the client's address, which one customer may have whole: a /48, of IPv4 a /24."""
    address = client_of(request).address
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 48 if parsed.version == 6 else 24), strict=False))
