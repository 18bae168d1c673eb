"""Logs: one JSON object a line, with the id of the request it belongs to and never a secret; no rules live here."""

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from django.http import HttpRequest, HttpResponseBase

from hub.monitoring import metrics
from registry.kernel import traces

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
        if request_id := traces.current() or getattr(vars(record).get("request"), "request_id", ""):
            line["request_id"] = request_id
        line |= {key: _safe(value) for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(line)


def _safe(value: object) -> object:
    return value if isinstance(value, int | float | bool | None) else redact(str(value))


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """An answer as the log, the metrics and the traces show it."""

    method: str
    path: str  # without its query: presigned links and search words are nobody's business
    route: str
    face: str
    status: int
    code: str  # of a refusal
    why: str
    is_quiet: bool  # asked all the time, by probes and for parts of pages

    @classmethod
    def from_response(cls, request: HttpRequest, response: HttpResponseBase) -> Self:
        """Return the record of the answer to a request."""
        match = request.resolver_match
        route = f"/{match.route}" if match else ""
        # Of the link in a letter only its route: who reads the log must not use it.
        path = route if match and "key" in match.kwargs else request.path
        code, why = getattr(response, "refusal", ("", ""))
        face, is_quiet = metrics.face_of(request), request.path_info.startswith(_QUIET)
        return cls(request.method or "", path, route, face, response.status_code, code, why, is_quiet)

    def report(self, span: Any, seconds: float) -> None:
        """Write one line of the log, count the answer in the metrics, and describe the span if there is one."""
        if span is not None:
            self._describe(span)
        metrics.observe(self.method, self.face, self.route, self.status, self.code, seconds)
        refusal = {"code": self.code, "why": self.why} if self.code else {}
        log.log(
            logging.DEBUG if self.is_quiet else logging.INFO,
            "%s %s %d",
            self.method,
            self.path,
            self.status,
            extra={"status": self.status, "duration_ms": round(seconds * 1000, 1), **refusal},
        )

    def _describe(self, span: Any) -> None:
        """Name the span of a request by its route: a path would name repositories and people."""
        span.update_name(f"{self.method} {self.route}".rstrip())
        attributes = {"http.request.method": self.method, "http.route": self.route, "dovetail.code": self.code}
        span.set_attributes({key: value for key, value in attributes.items() if value})
        span.set_attribute("http.response.status_code", self.status)


class RequestId:
    """Middleware: names each request, logs it once, and gives the name back in X-Request-Id.

    Ours is an id that we chose and the client's own X-Request-Id or X-Amzn-Trace-Id after it: theirs alone could be
    repeated at will. The Hub's clients want an X-Request-Id of theirs back as it is, and find their X-Amzn-Trace-Id in
    ours. Characters that have no place in an id make theirs be dropped.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = request.request_id = name_of(request.META)  # type: ignore[attr-defined]  # an attribute of our own
        with traces.working_for(request_id), traces.request() as span:
            started = time.monotonic()
            response = self.get_response(request)
            response["X-Request-Id"] = chosen_by(request.META) or request_id
            AnswerRecord.from_response(request, response).report(span, time.monotonic() - started)
            return response


def name_of(headers: Mapping[str, Any]) -> str:
    """Return a new id for the request with these headers, named as in WSGI; it ends with the client's own, if any."""
    theirs = chosen_by(headers) or headers.get("HTTP_X_AMZN_TRACE_ID") or ""
    return traces.new(theirs if _CLIENT_ID.fullmatch(theirs) else "")


def chosen_by(headers: Mapping[str, Any]) -> str:
    """Return the X-Request-Id that the client chose, or an empty string."""
    theirs = headers.get("HTTP_X_REQUEST_ID") or ""
    return theirs if _CLIENT_ID.fullmatch(theirs) else ""
