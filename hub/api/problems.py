"""Every refusal of our REST as application/problem+json (RFC 9457); the sentences are in kernel/errors.py."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from hub.addresses import at_new_name
from hub.errors import http_form, in_full, of_database
from registry.kernel.errors import RegistryError, RepositoryMoved

CONTENT_TYPE = "application/problem+json"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """A refusal: a stable code, a sentence with the thing and the reason, and one with the fix."""

    status: int
    code: str
    detail: str
    fix: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """Return the members of RFC 9457, our `code` and `fix`, and what this kind of refusal adds."""
        return {
            **self.facts,
            "type": f"{settings.PUBLIC_URL}/docs/errors#{self.code}",
            "title": self.code.replace("-", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "fix": self.fix,
        }


# The HTTP layer refuses some requests before the registry is asked: code and fix of the framework's exceptions.
HTTP: dict[type[Exception], tuple[str, str]] = {
    exceptions.ValidationError: (
        "value-invalid",
        "Correct the named fields; see /api/v1/openapi.json for their shapes.",
    ),
    exceptions.ParseError: ("body-invalid", "Send one JSON object, in UTF-8."),
    exceptions.UnsupportedMediaType: ("media-type-unsupported", "Send the body as application/json."),
    exceptions.MethodNotAllowed: ("method-not-allowed", "See /api/v1/docs for what each route takes."),
    exceptions.NotFound: ("route-not-found", "See /api/v1/docs for the routes there are."),
    exceptions.Throttled: ("rate-limited", "Wait as many seconds as Retry-After says; a token has a higher limit."),
    exceptions.PermissionDenied: ("not-allowed", "Sign in as somebody who may."),
}
FOREIGN = {
    Http404: exceptions.NotFound,
    PermissionDenied: exceptions.PermissionDenied,
    SuspiciousOperation: exceptions.ParseError,
}


def answer(exception: Exception, context: Mapping[str, Any]) -> Response:
    """Turn whatever a view raised into a problem document; the exception handler named in settings."""
    problem = _problem(exception, context) or _accident(exception, context)
    headers = dict(problem.headers)
    if isinstance(exception, RepositoryMoved):
        headers["Location"] = at_new_name(context["request"], exception)
    response = Response(problem.document(), problem.status, headers=headers, content_type=CONTENT_TYPE)
    response.refusal = problem.code, problem.detail  # type: ignore[attr-defined]  # for the log
    return response


def _problem(exception: Exception, context: Mapping[str, Any]) -> Problem | None:
    if isinstance(exception, OperationalError):
        exception = of_database(exception)
    if isinstance(exception, RegistryError):
        form = http_form(exception)
        status = form.status
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        if form.retry_seconds:
            headers["Retry-After"] = str(form.retry_seconds)
        detail, fix = (in_full(text, context["request"]) for text in (exception.detail, exception.fix))
        return Problem(status, exception.code, detail, fix, exception.facts, headers)
    for foreign, ours in FOREIGN.items():
        if isinstance(exception, foreign):
            exception = ours()
    return _of_framework(exception, context) if isinstance(exception, exceptions.APIException) else None


def _of_framework(exception: exceptions.APIException, context: Mapping[str, Any]) -> Problem:
    code, fix = next(
        (entry for kind, entry in HTTP.items() if isinstance(exception, kind)), (exception.default_code, "")
    )
    headers = {}
    if (wait := getattr(exception, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, round(wait)))
    detail, fix = " ".join(_sentences(exception.detail)), in_full(fix, context["request"])
    return Problem(exception.status_code, code.replace("_", "-"), detail, fix, headers=headers)


def _sentences(detail: object, where: str = "") -> Iterator[str]:
    """Flatten the framework's nested messages into sentences that name the field."""
    if isinstance(detail, Mapping):
        for key, inner in detail.items():
            yield from _sentences(inner, "" if key == "non_field_errors" else f"{where}{_name(key, inner)}")
    elif isinstance(detail, Sequence) and not isinstance(detail, str):
        for inner in detail:
            yield from _sentences(inner, where)
    else:
        yield f"{where}{detail}"


def _name(key: str | int, inner: object) -> str:
    """Return the name of a field or the place in a list; that of a word which the sentence repeats says nothing."""
    codes = {getattr(error, "code", "") for error in inner} if isinstance(inner, list) else set()
    return "" if isinstance(key, int) and codes == {"invalid_choice"} else f"{key}: "


def _accident(exception: Exception, context: Mapping[str, Any]) -> Problem:
    """Return a 500: the stack goes to the log and to Django's signal (tests raise on it), a sentence to the caller."""
    request = context["request"]._request
    log.error("Unexpected error in %s", request.path, exc_info=exception)
    got_request_exception.send(sender=None, request=request)
    return Problem(
        500,
        "internal-error",
        "Something went wrong on this hub.",
        "Try again; if it stays, tell its administrator the X-Request-Id.",
    )
