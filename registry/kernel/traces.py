"""The id of the request that this thread works for, and its trace where a feature records spans.

A request names itself; rows and messages carry the id on. `new` makes one of 32 hexadecimal digits, and after a `;`
the id that the client chose, if any. The digits are the id of the request's trace as well, and their second half is
the id of the request's own span: a worker that reads the id from a row knows whose child its span is. Where
nobody records them nothing is imported, and a span is nothing.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from importlib import import_module
from types import ModuleType
from typing import Any

from django.conf import settings

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


def request() -> AbstractContextManager[Any]:
    """Return the span of the request that this thread answers, as a context; it gives None where nothing is traced."""
    return _tracer().request() if settings.TRACER else nullcontext()


def span(name: str, **attributes: str | int | None) -> AbstractContextManager[Any]:
    """Return a span of work, as a context: a child of the span around it, else of the request it is done for."""
    return _tracer().span(name, _named(attributes)) if settings.TRACER else nullcontext()


def note(name: str, **attributes: str | float) -> None:
    """Add an event to the span around it."""
    if settings.TRACER:
        _tracer().note(name, _named(attributes))


def flush() -> None:
    """Send what is recorded; for a process that is about to end without its exit handlers."""
    if settings.TRACER:
        _tracer().flush()


def _named(attributes: Mapping[str, object]) -> dict[str, object]:
    return {f"dovetail.{key}": value for key, value in attributes.items() if value is not None}


def _tracer() -> ModuleType:
    return import_module(settings.TRACER)
