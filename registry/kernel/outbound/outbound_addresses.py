"""Addresses that the hub may call when a stranger names them: public ones, and those that the operator allows."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from registry.kernel.errors import ValueInvalid

Address = IPv4Address | IPv6Address
_NAT64 = ip_network("64:ff9b::/96")  # carries an IPv4 address inside
MAX_URL = 1000
FIX = "Name an address that the internet can reach; others must be in DOVETAIL_WEBHOOK_ALLOW of this hub."


def check_url(url: str) -> SplitResult:
    """Return the parts of an http(s) address that may be called, as far as can be told before resolving its host.

    Raises ValueInvalid.
    """
    parts = check_shape(url)
    try:
        literal = ip_address(parts.hostname or "")
    except ValueError:
        return parts
    if not may_reach(parts.hostname or "", literal):
        raise _refusal(url, "it is inside a private network")
    return parts


def check_shape(url: str, most: int = MAX_URL) -> SplitResult:
    """Return the parts of an http(s) address of at most that length, wherever it leads. Raises ValueInvalid."""
    if len(url) > most or not url.isascii() or any(char <= " " for char in url):
        raise _refusal(url, "it is too long, or holds spaces or characters beyond ASCII")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refusal(url, "it cannot be read") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise _refusal(url, "it is not http:// or https:// with a host")
    if parts.username is not None or parts.password is not None:
        raise _refusal(url, "it holds a user name or a password")
    return parts


def may_reach(host: str, address: Address) -> bool:
    """Return whether the hub may connect to this address, to which `host` resolved."""
    for allowed in settings.WEBHOOK_ALLOW:
        try:
            if address in ip_network(allowed, strict=False):
                return True
        except ValueError:  # a host's name
            if host.lower() == allowed.lower():
                return True
    return is_public(address)


def is_public(address: Address) -> bool:
    """Return whether an address is public: not private, local, shared (CGN), reserved or multicast.

    An IPv4 address inside an IPv6 one (mapped, NAT64, 6to4, Teredo) is judged as the IPv4 address.
    """
    if isinstance(address, IPv6Address):
        teredo = address.teredo
        inner = address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _refusal(url: str, why: str) -> ValueInvalid:
    return ValueInvalid(f"{url[:200]!r} cannot be called: {why}.", fix=FIX)
