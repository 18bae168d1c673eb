"""Large bodies hold a thread until they have come or gone: no more of them at once than leave threads for all else.

A large file that leaves is counted where it is opened (`holding`); requests and all other answers by the middleware. A
file that leaves through nginx by X-Accel-Redirect, or from S3, holds no thread.
"""

import weakref
from collections.abc import Callable
from contextlib import ExitStack
from inspect import isgenerator
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from hub.answers import refuse
from hub.site.refusals import refusal
from registry.kernel.errors import DownloadsFull, HubBusy, RegistryError
from registry.kernel.limits.held_threads import held_threads

T = TypeVar("T")
# Bytes of an answer. Whoever reads them, the kernel takes 160 KB and more (measured, in segments as Ethernet has them),
# and nginx some more.
LARGE = 128 << 10
SMALL_BODY = 64 << 10  # of a request: nginx has it whole before it asks the hub


class LargeBodies:
    """Middleware: refuses a large request, or to send a large answer, where no more threads may be held."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            response = self._answer(request)
            if not isinstance(response, HttpResponse) or request.method == "HEAD":
                return response
            return holding(len(response.content), lambda: response)
        except (DownloadsFull, HubBusy) as full:
            return _refuse(request, full)

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        if not _has_large_body(request):
            return self.get_response(request)
        if not held_threads.take():
            raise HubBusy("This hub receives as many large requests as it can at once.")
        try:
            return self.get_response(request)
        finally:
            held_threads.give_back()


def _has_large_body(request: HttpRequest) -> bool:
    """Return whether a thread has to wait for the body: others are there before the request is."""
    length = request.META.get("CONTENT_LENGTH") or ""
    comes_later = "HTTP_TRANSFER_ENCODING" in request.META or "HTTP_EXPECT" in request.META
    return comes_later or (length.isdigit() and int(length) > SMALL_BODY)


def _refuse(request: HttpRequest, error: RegistryError) -> HttpResponse:
    return (refusal if "text/html" in request.headers.get("Accept", "") else refuse)(request, error)


def holding(size: int, open_body: Callable[[], T]) -> T:
    """Return what `open_body` opens, of `size` bytes; a large one is a held thread until it is closed or dropped.

    Raises DownloadsFull where no more may be held.
    """
    if size <= LARGE:
        return open_body()
    if not held_threads.take():
        raise DownloadsFull("This hub sends as many large answers as it can at once.")
    with ExitStack() as unless_it_opens:
        unless_it_opens.callback(held_threads.give_back)
        body: Any = open_body()
        unless_it_opens.pop_all()
    give_back = weakref.finalize(body, held_threads.give_back)  # once, whoever calls it
    if not isgenerator(body):  # one is dropped with its response
        body.close = _both(body.close, give_back)
    return body  # type: ignore[no-any-return]  # as open_body returned it


def _both(first: Callable[[], object], second: Callable[[], object]) -> Callable[[], None]:
    def close() -> None:
        first()
        second()

    return close
