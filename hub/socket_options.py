"""Socket options of a connection that sends a file: full packets, and a small buffer for a client that is near.

- TCP_CORK (tcp(7)), as nginx sends files with `tcp_nopush`. Without it the head of an answer leaves alone, and the
  kernel sends each piece of a file as it comes, which wakes the reader for little: a file of 100 MB took 38 ms in place
  of 29, one of 8 MB 3.4 in place of 2.6 (Linux, two cores, the reader on the same machine).
- SO_SNDBUF of 256 KiB, where a packet takes no time to the client: the bytes are still in the processor's cache when
  the client, or a proxy on the same machine, copies them. The 4 MiB that the kernel goes up to are meant for far
  clients. Files of 8 MB over four connections went at 3,500 MB/s in place of 2,600, one of 100 MB took 33 ms in place
  of 37 (the same machine, 1 MiB of cache a core; 128 and 512 KiB were slower).

It uses private attributes of gunicorn's responses; DOVETAIL_FAST_PATHS=off does without.
"""

import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from django.conf import settings

from hub.receiving import Application

NEAR_MICROSECONDS = 100  # of a round trip; with the buffer below that still allows 2.5 GB a second
NEAR_BUFFER = 256 << 10  # bytes
_CORK = getattr(socket, "TCP_CORK", None)  # Linux has it, and the next one
_INFO = getattr(socket, "TCP_INFO", None)
_MIN_RTT = struct.Struct("=148xI")  # the start of struct tcp_info, up to tcpi_min_rtt in microseconds


def for_files(application: Application) -> Application:
    """Return a WSGI application whose files are sent with these options; itself where that is not possible."""
    if _CORK is None or not settings.FAST_PATHS:
        return application

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = application(environ, start_response)
        connection = getattr(getattr(start_response, "__self__", None), "sock", None)  # of gunicorn's response
        wrapper = environ.get("wsgi.file_wrapper")
        if wrapper and isinstance(body, wrapper) and type(connection) is socket.socket:
            if is_near(connection):
                _set(connection, socket.SOL_SOCKET, socket.SO_SNDBUF, NEAR_BUFFER)
            _set(connection, socket.IPPROTO_TCP, _CORK, 1)
            body.close = _uncorking(connection, getattr(body, "close", None))
        return body

    return answer


def is_near(connection: socket.socket) -> bool:
    """Return whether the fastest round trip to the client took next to no time; False where the kernel has none."""
    if _INFO is None:
        return False
    try:
        measured = connection.getsockopt(socket.IPPROTO_TCP, _INFO, _MIN_RTT.size)
    except OSError:  # a Unix socket
        return False
    return len(measured) == _MIN_RTT.size and bool(_MIN_RTT.unpack(measured)[0] < NEAR_MICROSECONDS)


def _uncorking(connection: socket.socket, close: Callable[[], None] | None) -> Callable[[], None]:
    def end() -> None:
        _set(connection, socket.IPPROTO_TCP, _CORK, 0)  # the last packet leaves, full or not
        if close:
            close()

    return end


def _set(connection: socket.socket, level: int, option: Any, value: int) -> None:
    with suppress(OSError):  # a Unix socket has no packets, and the client may have gone
        connection.setsockopt(level, option, value)
