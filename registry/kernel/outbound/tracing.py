"""Traces, where DOVETAIL_OTLP_ENDPOINT names a collector; without it nothing is imported, and a span is nothing.

The id of a request (request_ids.py) begins with the id of its trace, and the second half of that is the id of the
request's own span. So a worker that reads the request's id from a row knows whose child its span is.
"""

from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from types import ModuleType
from typing import Any

from django.conf import settings


def request() -> AbstractContextManager[Any]:
    """Return the span of the request that this thread answers, as a context; it gives None where nothing is traced."""
    return _otlp().request() if settings.OTLP_ENDPOINT else nullcontext()


def span(name: str, **attributes: str | int | None) -> AbstractContextManager[Any]:
    """Return a span of work, as a context: a child of the span around it, else of the request it is done for."""
    return _otlp().span(name, _named(attributes)) if settings.OTLP_ENDPOINT else nullcontext()


def note(name: str, **attributes: str | float) -> None:
    """Add an event to the span around it."""
    if settings.OTLP_ENDPOINT:
        _otlp().note(name, _named(attributes))


def flush() -> None:
    """Send what is recorded; for a process that is about to end without its exit handlers."""
    if settings.OTLP_ENDPOINT:
        _otlp().flush()


def _named(attributes: dict[str, Any]) -> dict[str, Any]:
    return {f"dovetail.{key}": value for key, value in attributes.items() if value is not None}


def _otlp() -> ModuleType:
    return import_module("registry.kernel.outbound.otlp")
