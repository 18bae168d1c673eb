"""A request waits in the kernel until it has come, so that a slow sender holds no thread.

A thread looks at what has come without taking it. Where the head is not whole, or its small body, the thread lets the
connection go and says with SO_RCVLOWAT (socket(7)) how many bytes must have come before the connection counts as
readable again. gunicorn's own threads read on until the head is whole, for as long as the sender likes.

A thread reads a larger body as it comes, and one that waits for an answer first; those are counted (large_bodies.py).
"""

import re
import select
import socket
from enum import Enum

SMALL_BODY = 64 << 10  # bytes
HEAD_BYTES = 32 << 10  # of a head, as many as nginx takes by default
MOST_SECONDS = 60.0  # from the first byte of a request until it has come
NEW_MS = 10  # in which the first bytes of most connections come
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*0*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_ASKS_FIRST = re.compile(rb"\r\nexpect:", re.IGNORECASE)  # its body comes after an answer
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Has(Enum):
    """The part of a connection's next request that has come."""

    NOTHING = "nothing"
    PART = "part"
    ENOUGH = "enough"  # for a thread to take it: all of it, or all but a large body; or the sender has gone
    TOO_MUCH = "too much"  # a head that is too long


def look(connection: socket.socket, taken: bytes = b"") -> tuple[Has, int]:
    """Return what has come, and how many bytes the kernel must have before a look says anything else.

    `taken` are the first bytes of the request, which came with the one before and are not in the kernel any more.
    """
    come = _peek(connection)
    if come is None and not taken:
        _poll(connection, select.POLLIN, NEW_MS)
        come = _peek(connection)
    if come is None and not taken:
        return Has.NOTHING, 1
    has, needed = _judge(taken + (come or b""))
    # A sender who has gone makes the connection readable for good, whatever has come.
    is_over = come == b"" or (has is Has.PART and _poll(connection, select.POLLRDHUP, 0))
    return (Has.ENOUGH, 1) if is_over else (has, max(1, needed - len(taken)))


def _judge(come: bytes) -> tuple[Has, int]:
    head, end, _ = come.partition(b"\r\n\r\n")
    if len(head) > HEAD_BYTES:
        return Has.TOO_MUCH, 1
    if not end:
        return Has.PART, len(come) + 1
    length = _LENGTH.search(head + end)
    body = int(length[1]) if length else 0
    whole = len(head) + len(end) + (0 if body > SMALL_BODY or _ASKS_FIRST.search(head) else body)
    return (Has.PART, whole) if len(come) < whole else (Has.ENOUGH, 1)


def _poll(connection: socket.socket, event: int, milliseconds: int) -> bool:
    poll = select.poll()
    poll.register(connection, event)
    return bool(poll.poll(milliseconds))


def _peek(connection: socket.socket) -> bytes | None:
    """Return what has come and leave it there; None for nothing yet, no bytes where no more will come."""
    try:
        return connection.recv(HEAD_BYTES + 4 + SMALL_BODY, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""
