"""The bytes of a request, in large pieces, straight from the connection where the server lets us at it.

gunicorn copies a body twice on its way through its buffers, which is a third of the work of an upload. What it knows of
the connection stays true, so that it can be kept for the next request.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.http import HttpRequest
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import SocketUnreader

PIECE = 1 << 20
REFUSED_SECONDS = 10.0  # for the rest of a body that nobody wants
SLOWEST = 64 << 10  # bytes that come in the minute which a call waits, from whoever does not only hold a thread


def read(request: HttpRequest, size: int) -> bytes:
    """Return the next `size` bytes of a body with a declared length, fewer only at its end or after a minute's wait.

    Empty at the end, also where the client went away before it. Raises OSError when the connection breaks, or brings
    next to nothing for as long as the server waits (deploy/gunicorn.conf.py).
    """
    body: Any = request.META.get("wsgi.input")
    if not _is_plain(body):
        return request.read(size)
    try:
        return _received(body.reader, size)
    except OSError:
        body.failed = True  # where the next request would begin is unknown now
        raise


def _is_plain(body: Any) -> bool:
    """Whether these bytes are the connection's own: not chunked, not of HTTP/2, not encrypted, and gunicorn's."""
    if type(body) is not Body or type(body.reader) is not LengthReader or body.buf.tell():
        return False
    unreader = body.reader.unreader
    return type(unreader) is SocketUnreader and type(unreader.sock) is socket.socket


def _received(reader: LengthReader, size: int) -> bytes:
    """Return what came along with the head, then what the kernel has; never anything past the end of the body."""
    size = min(size, reader.length)
    early: bytes = reader.read(min(size, reader.unreader.buf.getbuffer().nbytes))
    if len(early) == size:
        return early
    # One call waits for all of a piece, but not for longer than the connection's limit of silence: a call that returns
    # less than it was asked for took that long, or was the last.
    late: bytes = reader.unreader.sock.recv(size - len(early), socket.MSG_WAITALL)
    reader.length -= len(late)
    if len(early) + len(late) < min(size, SLOWEST) and _is_open(reader.unreader.sock):
        raise TimeoutError("The body comes too slowly")
    return early + late if early else late


def _is_open(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True


@contextmanager
def unwanted(request: HttpRequest) -> Iterator[None]:
    """What is read within this block must be over in some seconds; then it looks as if the client had gone.

    A refused body is read away for the client's sake, and anybody may send one, as slowly as he likes: it must not
    hold a thread. Where the connection is not at hand it takes what it takes.
    """
    connection = _connection(request)
    if connection is None:
        yield
        return
    alarm = threading.Timer(REFUSED_SECONDS, _hear_no_more, [connection])
    alarm.daemon = True  # whoever stops the hub does not wait for it
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()


def _connection(request: HttpRequest) -> socket.socket | None:
    reader = getattr(request.META.get("wsgi.input"), "reader", None)  # of a body with a length, or of a chunked one
    unreader = getattr(reader, "unreader", None) or getattr(getattr(reader, "req", None), "unreader", None)
    found = getattr(unreader, "sock", None)
    return found if isinstance(found, socket.socket) else None


def _hear_no_more(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RD)
    except OSError:  # it is closed already
        return
