"""Errors to Sentry, where DOVETAIL_SENTRY_DSN names a project: what broke and where, nothing of people or adapters.

A logging handler, imported only if the setting is there: an error is logged once, where it is handled, in the web
processes and in workers alike.
"""

import logging
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.logging import EventHandler
from sentry_sdk.types import Event, Hint

from hub.about import VERSION
from hub.monitoring.logs import redact
from registry.kernel import traces

# Of the fields of a line those that are numbers of ours or names of our parts.
KEPT_EXTRAS = frozenset(
    {"attempt", "code", "engine", "event", "job", "kind", "ms", "state", "status", "task", "verdict"}
)
DROPPED = ("user", "request", "server_name", "modules", "breadcrumbs", "contexts")


def handler(dsn: str) -> logging.Handler:
    """Return a handler that sends records of errors."""
    sentry_sdk.init(
        dsn,
        release=VERSION,
        before_send=scrubbed,
        default_integrations=False,
        auto_enabling_integrations=False,
        send_default_pii=False,
        include_local_variables=False,
        max_breadcrumbs=0,
        max_request_body_size="never",
    )
    return EventHandler(logging.ERROR)


def scrubbed(event: Event, hint: Hint) -> Event:
    """Return the event without names, paths and secrets; the id of the request leads to the line in our own log."""
    kept: dict[str, Any] = {key: value for key, value in event.items() if key not in DROPPED}
    if "logentry" in kept:  # the sentence without the values in it, which name people, paths and repositories
        kept["logentry"] = {"message": kept["logentry"].get("message", "")}
    for problem in kept.get("exception", {}).get("values", ()):  # an exception's message names them too
        problem["value"] = ""
    kept["extra"] = {key: value for key, value in kept.get("extra", {}).items() if key in KEPT_EXTRAS}
    kept["tags"] = {"request_id": traces.current().partition(";")[0]} if traces.current() else {}
    return _redacted(kept)  # type: ignore[no-any-return]  # of the same shape


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _redacted(item) for key, item in value.items()}
    return [_redacted(item) for item in value] if isinstance(value, list | tuple) else value
