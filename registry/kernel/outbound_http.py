"""Calls a URL from an untrusted user, safe against DNS rebinding: posts bytes, or gets a small document.

A host may be called if its addresses are public ones, or such that the operator allows. It is resolved once, all its
addresses are checked, and the connection goes to one of them: a host that resolves differently a moment later changes
nothing. No redirect is followed, no proxy is used, and time and memory are bounded.
"""

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from registry.kernel.errors import ValueInvalid

Address = IPv4Address | IPv6Address
_NAT64 = ip_network("64:ff9b::/96")  # carries an IPv4 address inside
MAX_URL = 1000
FIX = "Name an address that the internet can reach; others must be in DOVETAIL_WEBHOOK_ALLOW of this hub."
_PORTS = {"http": 80, "https": 443}  # of public hosts no others are called


def check_url(url: str) -> SplitResult:
    """Return the parts of an http(s) address that may be called, as far as can be told before resolving its host.

    Raises ValueInvalid.
    """
    parts = check_shape(url)
    host, port = parts.hostname or "", _port(parts)
    try:
        literal = ip_address(host)
    except ValueError:
        if port not in _PORTS.values() and not settings.WEBHOOK_ALLOW:
            raise _refusal(url, "its port is neither 80 nor 443") from None
        return parts
    if not may_reach(host, literal, port):
        raise _refusal(url, "it is inside a private network, or its port is neither 80 nor 443")
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


def may_reach(host: str, address: Address, port: int) -> bool:
    """Return whether the hub may connect to this port of an address, to which `host` resolved."""
    for allowed in settings.WEBHOOK_ALLOW:
        try:
            if address in ip_network(allowed, strict=False):
                return True
        except ValueError:  # a host's name, perhaps with a port
            if allowed.lower() in {host.lower(), f"{host}:{port}".lower()}:
                return True
    return is_public(address) and port in _PORTS.values()


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]


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
    return ValueInvalid(f"{url[:200]!r} cannot be called: {why}.", FIX, "url")


CONNECT_SECONDS = 5.0
SECONDS = 15.0  # for everything together
MAX_ANSWER = 4096  # bytes of an answer that are kept


class Unreachable(Exception):
    """Nothing was delivered, or nobody knows; the message is one sentence for the owner of the URL."""


@dataclass(frozen=True)
class Answer:
    """The status and the beginning of the response, and how long it took."""

    status: int
    text: str
    milliseconds: int


def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float = SECONDS) -> Answer:
    """POST bytes and return the answer, whatever its status. Raises Unreachable."""
    answer = _request("POST", url, body, headers, seconds=seconds, most=MAX_ANSWER)
    return Answer(answer.status, answer.content.decode("utf-8", "replace"), answer.milliseconds)


def get(url: str, *, seconds: float, most: int) -> bytes:
    """Return the content of a document of at most `most` bytes. Raises Unreachable, also for any status but 200."""
    answer = _request("GET", url, None, {"Accept": "application/json"}, seconds=seconds, most=most + 1)
    if answer.status != 200:
        raise Unreachable(f"{url} answered {answer.status}.")
    if len(answer.content) > most:
        raise Unreachable(f"{url} answered more than {most:,} bytes.")
    return answer.content


class _Received(NamedTuple):
    status: int
    content: bytes
    milliseconds: int


def _request(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], *, seconds: float, most: int
) -> _Received:
    """Send a request and return the first `most` bytes of its answer. Raises Unreachable."""
    started = time.monotonic()
    try:
        parts = check_url(url)
        connection = connect(parts)
    except ValueInvalid as refusal:
        raise Unreachable(refusal.detail) from None
    # A socket's timeout restarts with each byte: only this timer ends a connection that drips.
    alarm = threading.Timer(seconds, hang_up, [connection.sock])
    alarm.start()
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body, {"Host": parts.netloc, "Connection": "close", **headers})
        response = connection.getresponse()
        content = response.read(most)
    except (OSError, HTTPException, ValueError) as problem:
        late = time.monotonic() - started >= seconds
        raise Unreachable(_late(seconds) if late else _describe(problem)) from None
    finally:
        alarm.cancel()
        connection.close()
    passed = time.monotonic() - started
    if passed >= seconds:  # an answer that was cut off may look complete
        raise Unreachable(_late(seconds))
    return _Received(response.status, content, round(passed * 1000))


def connect(parts: SplitResult, *, is_trusted: bool = False) -> HTTPConnection:
    """Return a connection to an allowed address of the host; a trusted host may have any. Raises Unreachable."""
    host, port = parts.hostname or "", _port(parts)
    family, address = _resolved(host, port, is_trusted=is_trusted)
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(CONNECT_SECONDS)
    try:
        sock.connect(address)
        if parts.scheme == "https":
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
    except (OSError, ValueError) as problem:
        sock.close()
        raise Unreachable(f"Could not connect to {host}:{port}: {_describe(problem)}") from None
    connection = HTTPConnection(host, port)
    connection.sock = sock
    connection.auto_open = 0  # else a closed connection would be opened again, to an unchecked address
    return connection


def _resolved(host: str, port: int, *, is_trusted: bool) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """Return one address of the host and its family; all its addresses must be allowed, unless it is trusted.

    Raises Unreachable, with one sentence whether the name is unknown or leads inside: the owner of a URL must not learn
    what is in this hub's own network.
    """
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as problem:
        if is_trusted:
            raise Unreachable(f"The host {host!r} cannot be found: {_describe(problem)}") from None
        entries = []
    addresses = [str(entry[4][0]) for entry in entries]
    is_allowed = all("%" not in one and may_reach(host, ip_address(one), port) for one in addresses)
    if not entries or not (is_trusted or is_allowed):
        raise Unreachable(
            f"{host}:{port} cannot be called: it has no public address with port 80 or 443, nor one allowed here."
        )
    family, _, _, _, first = entries[0]
    return family, first


def hang_up(sock: socket.socket) -> None:
    """End a connection that another thread reads from."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is closed already
        return


def _late(seconds: float) -> str:
    return f"No answer within {seconds:.0f} s."


def _describe(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"[:300]
