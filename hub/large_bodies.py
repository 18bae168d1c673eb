"""A request with a large body counts among the held threads (held_threads.py): its sender decides how long it takes."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from hub.answers import refuse
from hub.arriving import SMALL_BODY
from hub.site.refusals import refusal
from registry.kernel.errors import HubBusy
from registry.kernel.held_threads import held_threads

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class LargeBodies:
    """Middleware: refuses a large body where no more threads may be held."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not _has_large_body(request):
            return self.get_response(request)
        if not held_threads.take():
            busy = HubBusy("This hub receives as many large requests as it can at once.")
            return (refusal if "text/html" in request.headers.get("Accept", "") else refuse)(request, busy)
        try:
            return self.get_response(request)
        finally:
            held_threads.give_back()


def _has_large_body(request: HttpRequest) -> bool:
    """Return whether a thread has to wait for the body: others are there before the request is (arriving.py)."""
    length = request.META.get("CONTENT_LENGTH") or ""
    return "HTTP_TRANSFER_ENCODING" in request.META or (length.isdigit() and int(length) > SMALL_BODY)
