"""The address under which a client reached this hub, for absolute links in answers; one rule for every route."""

from ipaddress import ip_address, ip_network
from urllib.parse import urljoin

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.urls import get_script_prefix

from hub import verified_view
from hub.configuration.proxies import client_of


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
        return f"{settings.PUBLIC_URL}{verified_view.PREFIX if verified_view.is_below(request) else ''}"
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
