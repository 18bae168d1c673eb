"""Logs: one JSON object a line, with the id of the request it belongs to and never a secret; no rules live here."""

import json
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from hub import metrics
from registry.kernel import request_ids, tracing

log = logging.getLogger("hub.requests")

_CLIENT_ID = re.compile(r"[A-Za-z0-9._:=;/+-]{1,128}")
_QUIET = ("/livez", "/readyz", "/metrics", "/static/")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request", "taskName"}
_REDACTED = "[redacted]"
_SECRETS = (
    re.compile(r"\b(?:(?:hf|dvt)_[A-Za-z0-9]{6,}|dvs_[A-Za-z0-9_-]{20,})"),
    re.compile(r"(?i)(?<=\bbearer )[^\s\"',]+|(?<=\bbasic )[^\s\"',]+"),
    # `key=value` of queries and forms, "key": "value" of JSON and of Python's repr; presigned URLs are the first kind.
    re.compile(
        r"(?i)\b(?:x-amz-[a-z-]{1,40}|awsaccesskeyid|signature|sig|ticket|[a-z_-]{0,40}token|[a-z_-]{0,40}password\d?"
        r"|[a-z_-]{0,40}secret[a-z_-]{0,40}|sessionid|csrfmiddlewaretoken|cookie|authorization)[\"']?\s*[=:]\s*[\"']?"
        r"(?!\[redacted\]|bearer |basic )([^\s&\"',;}]+)"
    ),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
)


def redact(text: str) -> str:
    """Return the text with tokens, passwords, cookies and presigned query values replaced."""
    for pattern in _SECRETS:
        text = pattern.sub(_hide, text)
    return text


def _hide(match: re.Match[str]) -> str:
    if not match.re.groups:
        return _REDACTED
    return match[0][: match.start(1) - match.start()] + _REDACTED


class JsonLine(logging.Formatter):
    """Formats a record as one line of JSON: control characters are escaped, extras become fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        # Django logs an answer's status when it has left the middleware, with the request as an extra.
        if request_id := request_ids.current() or getattr(vars(record).get("request"), "request_id", ""):
            line["request_id"] = request_id
        line |= {key: _safe(value) for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(line)


def _safe(value: object) -> object:
    return value if isinstance(value, int | float | bool | None) else redact(str(value))


class RequestId:
    """Middleware: names each request, logs it once, and gives the name back in X-Request-Id.

    Ours is an id that we chose and the client's own X-Request-Id or X-Amzn-Trace-Id after it: theirs alone could be
    repeated at will. The Hub's clients want an X-Request-Id of theirs back as it is, and find their X-Amzn-Trace-Id in
    ours. Characters that have no place in an id make theirs be dropped.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = request.request_id = name_of(request)  # type: ignore[attr-defined]  # an attribute of our own
        with request_ids.working_for(request_id), tracing.request() as span:
            started = time.monotonic()
            response = self.get_response(request)
            response["X-Request-Id"] = _chosen_by(request) or request_id
            if span is not None:
                _describe(span, request, response)
            _account(request, response, time.monotonic() - started)
            return response


def name_of(request: HttpRequest) -> str:
    """Return a new id for the request, which ends with the one the client chose, if any."""
    theirs = _chosen_by(request) or request.META.get("HTTP_X_AMZN_TRACE_ID") or ""
    return request_ids.new(theirs if _CLIENT_ID.fullmatch(theirs) else "")


def _chosen_by(request: HttpRequest) -> str:
    theirs = request.META.get("HTTP_X_REQUEST_ID") or ""
    return theirs if _CLIENT_ID.fullmatch(theirs) else ""


def _loggable_path(request: HttpRequest) -> str:
    """Return the path of a request; of the link in a letter, only its route: who reads the log must not use it."""
    match = request.resolver_match
    return f"/{match.route}" if match and "key" in match.kwargs else request.path


def _describe(span: Any, request: HttpRequest, response: HttpResponseBase) -> None:
    """Name the span of a request by its route: a path would name repositories and people."""
    route = f"/{request.resolver_match.route}" if request.resolver_match else ""
    span.update_name(f"{request.method} {route}".rstrip())
    code, _ = getattr(response, "refusal", ("", ""))
    attributes = {"http.request.method": request.method, "http.route": route, "dovetail.code": code}
    span.set_attributes({key: value for key, value in attributes.items() if value})
    span.set_attribute("http.response.status_code", response.status_code)


def _account(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    metrics.observe(request, response, seconds)
    code, why = getattr(response, "refusal", ("", ""))
    refusal = {"code": code, "why": why} if code else {}
    # The path without its query: presigned links and search words are nobody's business.
    log.log(
        logging.DEBUG if request.path_info.startswith(_QUIET) else logging.INFO,
        "%s %s %d",
        request.method,
        _loggable_path(request),
        response.status_code,
        extra={"status": response.status_code, "duration_ms": round(seconds * 1000, 1), **refusal},
    )
