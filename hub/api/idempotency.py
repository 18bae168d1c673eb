"""Idempotency-Key (IETF draft-ietf-httpapi-idempotency-key-header): the same request sent again has the same answer."""

import re

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.response import Response

from registry.kernel import idempotency
from registry.kernel.callers import Caller
from registry.kernel.errors import ValueInvalid
from registry.kernel.idempotency import Answer, Ticket

HEADER = "HTTP_IDEMPOTENCY_KEY"
METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KEY = re.compile(r"[!-~]{1,255}")
_KEPT_HEADERS = ("Content-Type", "Location", "Cache-Control")


class Replay(Exception):
    """A request whose answer is kept; not an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("answered before")
        headers = {**answer.headers, "Idempotency-Replayed": "true"}
        self.response = HttpResponse(answer.body, status=answer.status, headers=headers)


def begin(request: HttpRequest, by: Caller) -> Ticket | None:
    """Return the ticket of a request with a key, None for one without. Raises Replay, ValueInvalid and refusals."""
    text = request.META.get(HEADER)
    if text is None or by.user is None or request.method not in METHODS:
        return None
    key = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text  # the draft has it in quotation marks
    if not _KEY.fullmatch(key):
        raise ValueInvalid("The Idempotency-Key is not 1 to 255 visible ASCII characters.", fix="Send a new UUID.")
    same = f"{request.method} {request.get_full_path()}\n".encode() + request.body
    begun = idempotency.begin(by, key, same)
    if isinstance(begun, Answer):
        raise Replay(begun)
    return begun


def end(ticket: Ticket, response: HttpResponseBase) -> None:
    """Keep the answer, or give the key back."""
    if isinstance(response, Response):
        response.render()
    body = response.content if isinstance(response, HttpResponse) else b""
    headers = {name: response[name] for name in _KEPT_HEADERS if response.has_header(name)}
    idempotency.finish(ticket, Answer(response.status_code, headers, body))
