"""The address under which a client reached this hub, for absolute links in answers; one rule for every route."""

from ipaddress import ip_address, ip_network
from urllib.parse import urljoin

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.urls import get_script_prefix

from hub import verified_view


def origin(request: HttpRequest) -> str:
    """Return e.g. http://127.0.0.1:9000, or https://example.org/hub for a hub that is mounted below /hub.

    It is on the request's own host when that is one of ours, else DOVETAIL_PUBLIC_URL. Clients check that links lie
    below the endpoint they were given. X-Forwarded-* counts only from a trusted proxy.
    """
    scheme, host = request.scheme or "http", request.META.get("HTTP_HOST", "")
    if is_from_trusted_proxy(request):
        scheme = _first(request, "X-Forwarded-Proto") or scheme
        host = _first(request, "X-Forwarded-Host") or host
    name, _ = split_domain_port(host)
    is_ours = scheme in {"http", "https"} and name and validate_host(name, settings.ALLOWED_HOSTS)
    if not is_ours:
        return f"{settings.PUBLIC_URL}{verified_view.PREFIX if verified_view.is_below(request) else ''}"
    return f"{scheme}://{host}{get_script_prefix().rstrip('/')}"


def absolute(request: HttpRequest, path: str) -> str:
    """Return the whole address of a path that `reverse` gave, which begins with what the hub is mounted below."""
    return urljoin(origin(request), path)


def address_of(request: HttpRequest) -> str:
    """Return the client's address: the peer's, or what a trusted proxy says of its own peer."""
    peer = request.META.get("REMOTE_ADDR", "")
    if not is_from_trusted_proxy(request):
        return str(peer)
    # The last entry is the one that our proxy wrote; those before it anybody can send.
    relayed = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return relayed or str(peer)


def network_of(request: HttpRequest) -> str:
    """Return what requests are counted by: the client's address, of an IPv6 one the /64 that one machine may have."""
    address = address_of(request)
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


def is_from_trusted_proxy(request: HttpRequest) -> bool:
    """Return whether the peer of this connection is one of DOVETAIL_TRUSTED_PROXIES (addresses or networks)."""
    try:
        peer = ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:  # a Unix socket has no address
        return False
    return any(peer in ip_network(proxy, strict=False) for proxy in settings.TRUSTED_PROXIES)


def _first(request: HttpRequest, header: str) -> str:
    return request.headers.get(header, "").partition(",")[0].strip()
