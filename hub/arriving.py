"""A request waits in the kernel until it has come, so that a slow sender holds no thread.

A thread looks at what has come without taking it. Where the head is not whole, or its small body, the thread lets the
connection go and says with SO_RCVLOWAT (socket(7)) how many bytes must have come before the connection counts as
readable again. gunicorn's own threads read on until the head is whole, for as long as the sender likes.

A larger body is read by a thread as it comes; those are counted (held_threads.py).
"""

import re
import select
import socket
from enum import Enum

SMALL_BODY = 64 << 10  # bytes
MOST_BYTES = SMALL_BODY + (32 << 10)  # of a head, with a small body
MOST_SECONDS = 60.0  # from the first byte of a request until it has come
NEW_MS = 10  # in which the first bytes of most connections come
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_ASKS_FIRST = re.compile(rb"\r\nexpect:", re.IGNORECASE)  # its body comes after an answer
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Has(Enum):
    """What has come of the next request of a connection."""

    NOTHING = "nothing"
    PART = "part"
    ENOUGH = "enough"  # for a thread to take it: all of it, or all but a large body; or the sender has gone
    TOO_MUCH = "too much"  # of a head without end


def look(connection: socket.socket) -> tuple[Has, int]:
    """Return what has come, and how many bytes must have come before a look says anything else."""
    come = _peek(connection)
    if come is None:
        _poll(connection, select.POLLIN, NEW_MS)
        come = _peek(connection)
    if come is None:
        return Has.NOTHING, 1
    has, needed = _judge(come)
    # A sender who has gone makes the connection readable for good, whatever has come.
    return (Has.ENOUGH, 1) if has is Has.PART and _poll(connection, select.POLLRDHUP, 0) else (has, needed)


def _judge(come: bytes) -> tuple[Has, int]:
    if not come:
        return Has.ENOUGH, 1
    head, end, _ = come.partition(b"\r\n\r\n")
    if not end:
        return (Has.PART, len(come) + 1) if len(come) < MOST_BYTES else (Has.TOO_MUCH, 1)
    length = _LENGTH.search(head + end)
    body = int(length[1]) if length else 0
    whole = len(head) + len(end) + (0 if body > SMALL_BODY or _ASKS_FIRST.search(head) else body)
    return (Has.PART, whole) if len(come) < whole <= MOST_BYTES else (Has.ENOUGH, 1)


def _poll(connection: socket.socket, event: int, milliseconds: int) -> bool:
    poll = select.poll()
    poll.register(connection, event)
    return bool(poll.poll(milliseconds))


def _peek(connection: socket.socket) -> bytes | None:
    """Return what has come and leave it there; None for nothing yet, no bytes where no more will come."""
    try:
        return connection.recv(MOST_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""
