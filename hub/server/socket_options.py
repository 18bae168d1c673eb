"""Socket options of a connection that sends a file: full packets, and a small buffer for a client that is near.

- TCP_CORK (tcp(7)), as nginx sends files with `tcp_nopush`. Without it the head of an answer leaves alone, and the
  kernel sends each piece of a file as it comes, which wakes the reader for little: a file of 100 MB took 38 ms in place
  of 29, one of 8 MB 3.4 in place of 2.6 (Linux, two cores, the reader on the same machine).
- SO_SNDBUF of 256 KiB, where the round trip to the client takes less than 0.1 ms: the bytes are still in the
  processor's cache when the client, or a proxy on the same machine, copies them. The 4 MiB that the kernel goes up to
  are meant for far clients. Files of 8 MB over four connections went at 3,500 MB/s in place of 2,600, one of 100 MB
  took 33 ms in place of 37 (the same machine, 1 MiB of cache a core; 128 and 512 KiB were slower). A file that fits
  into the kernel's buffer keeps that, because it frees its thread from a slow client at once; so do later answers.

It uses private attributes of gunicorn's responses; DOVETAIL_FAST_PATHS=off does without.
"""

import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from django.conf import settings

from hub.server.receiving import Application

NEAR_MICROSECONDS = 100  # of a round trip; with the buffer below that still allows 2.5 GB a second
NEAR_BUFFER = 256 << 10  # bytes; net.core.wmem_max is the most that the kernel gives
KERNEL_BUFFER = 4 << 20  # bytes that the kernel's own buffer takes, by the default of net.ipv4.tcp_wmem
# Linux only:
_CORK: Any = getattr(socket, "TCP_CORK", None)
_INFO: Any = getattr(socket, "TCP_INFO", None)
_MIN_RTT = struct.Struct("=148xI")  # the start of struct tcp_info, up to tcpi_min_rtt in microseconds
_BUF_LOCK = 72  # SO_BUF_LOCK of Linux 5.14; 0 gives the size of the buffers back to the kernel


def for_files(application: Application) -> Application:
    """Return a WSGI application whose files are sent with these options; itself where that is not possible."""
    if _CORK is None or not settings.FAST_PATHS:
        return application

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = application(environ, start_response)
        response = getattr(start_response, "__self__", None)  # gunicorn's own
        connection, wrapper = getattr(response, "sock", None), environ.get("wsgi.file_wrapper")
        if wrapper and isinstance(body, wrapper) and type(connection) is socket.socket:
            # A Unix socket has no packets, an old kernel no SO_BUF_LOCK, and the client may have gone.
            with suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, _CORK, 1)
                if (getattr(response, "response_length", None) or 0) > KERNEL_BUFFER and is_near(connection):
                    connection.setsockopt(socket.SOL_SOCKET, _BUF_LOCK, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NEAR_BUFFER)
            body.close = _restoring(connection, getattr(body, "close", None))
        return body

    return answer


def is_near(connection: socket.socket) -> bool:
    """Return whether the fastest round trip of the last minutes took next to no time; False where none is known."""
    if _INFO is None:
        return False
    try:
        measured = connection.getsockopt(socket.IPPROTO_TCP, _INFO, _MIN_RTT.size)
    except OSError:  # a Unix socket
        return False
    return len(measured) == _MIN_RTT.size and 0 < _MIN_RTT.unpack(measured)[0] < NEAR_MICROSECONDS


def _restoring(connection: socket.socket, close: Callable[[], None] | None) -> Callable[[], None]:
    def end() -> None:
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, _CORK, 0)  # the last packet leaves, full or not
            connection.setsockopt(socket.SOL_SOCKET, _BUF_LOCK, 0)
        if close:
            close()

    return end
