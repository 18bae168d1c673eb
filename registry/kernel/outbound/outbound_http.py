"""Calls a URL from an untrusted user, safe against DNS rebinding: posts bytes, or gets a small document.

The host is resolved once, all its addresses are checked, and the connection goes to one of them: a host that resolves
differently a moment later changes nothing. No redirect is followed, no proxy is used, and time and memory are bounded.
"""

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import SplitResult

from registry.kernel.errors import ValueInvalid
from registry.kernel.outbound import outbound_addresses

CONNECT_SECONDS = 5.0
SECONDS = 15.0  # for everything together
MAX_ANSWER = 4096  # bytes of an answer that are kept
_PORTS = {"http": 80, "https": 443}


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
        parts = outbound_addresses.check_url(url)
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
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
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

    Raises Unreachable.
    """
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as problem:
        raise Unreachable(f"The host {host!r} cannot be found: {_describe(problem)}") from None
    for address in (str(entry[4][0]) for entry in entries):
        if not is_trusted and ("%" in address or not outbound_addresses.may_reach(host, ip_address(address))):
            raise Unreachable(f"The host {host!r} is inside a private network ({address}).")
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
