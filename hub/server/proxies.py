"""The client behind nginx on a Unix socket and the proxies of DOVETAIL_TRUSTED_PROXIES: no other headers are believed.

Each proxy adds its own peer at the right end of X-Forwarded-For (or Forwarded, RFC 7239), so the list is read from
there, and only as far as the addresses in it are proxies of ours. Entries further left can be from anybody.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import zip_longest
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

FORWARDED: str = "Forwarded"
X_FORWARDED_FOR: str = "X-Forwarded-For"
SCHEME: str = "dovetail.scheme"  # in META, where no header of a request can be: Django's name of each begins with HTTP_
_PAIR = re.compile(r'\s*([\w-]+)=("(?:[^"\\]|\\.)*"|[^;,\s"]*)\s*(?:;|$)')
_SPOKEN_PORT = re.compile(r"^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::\d+)?$")


@dataclass(frozen=True, slots=True)
class Hop:
    """A party to the request as the proxy after it describes it; empty where that proxy says nothing."""

    address: str
    scheme: str = ""
    host: str = ""


class TrustedProxies:
    """Middleware: gives Django the scheme that a trusted proxy says (SECURE_PROXY_SSL_HEADER)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if scheme := client_of(request).scheme:
            request.META[SCHEME] = scheme
        return self.get_response(request)


def client_of(request: HttpRequest) -> Hop:
    """Return the client: the peer of this connection, or the nearest party that is no trusted proxy."""
    peer = str(request.META.get("REMOTE_ADDR", ""))
    client = Hop(str(_parsed(peer) or peer))
    if peer and not is_trusted(client.address):  # a Unix socket has no address: who may open it is our nginx
        return client
    for hop in _chain(request.META):
        client = Hop(hop.address or client.address, hop.scheme or client.scheme, hop.host or client.host)
        if not hop.address or not is_trusted(hop.address):
            break
    return client


def is_trusted(address: str) -> bool:
    """Return whether an address is one of DOVETAIL_TRUSTED_PROXIES (addresses or networks)."""
    if not settings.TRUSTED_PROXIES or not (parsed := _parsed(address)):
        return False
    return any(parsed in network for network in _networks(tuple(settings.TRUSTED_PROXIES)))


@lru_cache(maxsize=8)
def _networks(proxies: tuple[str, ...]) -> list[IPv4Network | IPv6Network]:
    return [ip_network(proxy, strict=False) for proxy in proxies]


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:  # a Unix socket has no address, and RFC 7239 allows words for one
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None  # a socket for both kinds says IPv4 so
    return mapped or parsed


def _chain(environ: Mapping[str, Any]) -> Iterable[Hop]:
    """Return the parties that the proxies name, the nearest first."""
    if settings.PROXY_HEADER == FORWARDED:
        return _forwarded(environ.get("HTTP_FORWARDED", ""))
    names = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST")
    lists = [environ.get(name, "").split(",")[::-1] for name in names]
    return [_hop(*(value.strip() for value in values)) for values in zip_longest(*lists, fillvalue="")]


def _forwarded(header: str) -> Iterator[Hop]:
    """Yield the parties of RFC 7239, the nearest first, as far as the list can be read.

    An element begins at the nearest comma after which it is whole. So a quote that a client sent and did not close
    reaches no further than what the client sent, and hides nothing that a proxy added.
    """
    rest: str | None = None
    for piece in reversed(header.split(",")):
        text = piece if rest is None else f"{piece},{rest}"
        found = _parameters(text)
        rest = text if found is None else None
        if found:
            yield _hop(*(found.get(name, "") for name in ("for", "proto", "host")))


def _parameters(element: str) -> dict[str, str] | None:
    """Return the parameters of one element, none of an empty one; None if it is not whole."""
    found: dict[str, str] = {}
    at, end = 0, len(element.rstrip())
    while at < end:
        pair = _PAIR.match(element, at)
        if pair is None:
            return None
        name, value = pair.groups()
        found[name.lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        at = pair.end()
    return found


def _hop(address: str, scheme: str, host: str) -> Hop:
    with_port = _SPOKEN_PORT.match(address)
    parsed = _parsed((with_port[1] or with_port[2]) if with_port else address)
    return Hop(str(parsed or ""), scheme.lower() if scheme.lower() in {"http", "https"} else "", host)


CORS_PATHS = r"^/(?:verified/)?(?:api/|xet/|(?:datasets/|spaces/)?[^/]+/[^/]+/resolve/|[^/]+/resolve/)"
CORS_ASKED: tuple[str, ...] = (
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "range",
    "user-agent",
    "x-csrftoken",
    "x-requested-with",
)
CORS_TOLD: tuple[str, ...] = (
    "Content-Range",
    "Deprecation",
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Sunset",
    "X-Dovetail-View",
    "X-Dovetail-Yanked",
    "X-Error-Code",
    "X-Error-Message",
    "X-Linked-Etag",
    "X-Linked-Size",
    "X-Repo-Commit",
    "X-Request-Id",
    "X-Xet-Hash",
)
