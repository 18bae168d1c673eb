"""The id of the request on whose behalf this thread works: a request names itself, rows and messages carry it on.

`new` makes one of 32 hexadecimal digits, and after a `;` the id that the client chose, if any. The digits are the id
of the request's trace as well (tracing.py), so that one value leads through logs, rows and traces.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MOST = 200  # characters that the columns hold
_current: ContextVar[str] = ContextVar("request_id", default="")


def new(theirs: str = "") -> str:
    """Return a new id. The client's own stands after ours, because theirs alone could be repeated at will."""
    ours = uuid.uuid4().hex
    return f"{ours};{theirs}" if theirs else ours


def current() -> str:
    """Return the id of the request that this thread works for, or an empty string: the hub itself wants the work."""
    return _current.get()


@contextmanager
def working_for(request_id: str) -> Iterator[None]:
    """Let the block work for that request, or for none if the id is empty."""
    mark = _current.set(request_id)
    try:
        yield
    finally:
        _current.reset(mark)


def continue_for(request_id: str) -> None:
    """Work for that request from here to the end of the surrounding `working_for`."""
    _current.set(request_id)
