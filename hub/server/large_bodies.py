"""Large bodies hold a thread until they have come or gone: no more of them at once than leave threads for all else.

A large file that leaves is counted where it is opened (`holding`); requests and all other answers by the middleware. A
file that leaves through nginx by X-Accel-Redirect, or from S3, holds no thread. The bytes of stored objects are sent
whole or one range: by sendfile, by nginx, or from an object store.
"""

import re
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from inspect import isgenerator
from typing import Any, TypeVar

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase

from hub.answers import refuse
from hub.site.refusals import refusal
from registry.bytes import blobs
from registry.kernel.capacity import held_threads
from registry.kernel.errors import DownloadsFull, HubBusy, RegistryError
from registry.repos import pull
from registry.repos.manifest import Entry

T = TypeVar("T")
# Bytes of an answer. For any reader, the kernel takes 160 KB and more (measured, in segments as Ethernet has them),
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
            raise HubBusy("This hub is receiving too many large requests at the moment.")
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
        raise DownloadsFull("This hub is sending too many large responses at the moment.")
    with ExitStack() as unless_it_opens:
        unless_it_opens.callback(held_threads.give_back)
        body: Any = open_body()
        unless_it_opens.pop_all()
    give_back = weakref.finalize(body, held_threads.give_back)  # once, however often it is called
    if not isgenerator(body):  # one is dropped with its response
        body.close = _both(body.close, give_back)
    return body  # type: ignore[no-any-return]  # as open_body returned it


def _both(first: Callable[[], object], second: Callable[[], object]) -> Callable[[], None]:
    def close() -> None:
        first()
        second()

    return close


SMALL_BYTES = 64 << 10  # sendfile costs more than it saves up to here
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Unsatisfiable(Exception):
    """A range in which there is no byte of the file."""


def send(request: HttpRequest, entry: Entry, kind: str) -> HttpResponseBase:
    """Return the bytes of a file, or those of the one range asked for; 416 where there are none.

    `kind` is the Content-Type. Raises StoreUnavailable for what the store has lost, and DownloadsFull.
    """
    try:
        bounds = span(request.META.get("HTTP_RANGE", ""), entry.size)
    except Unsatisfiable:
        return unsatisfiable(entry.size)
    if settings.ACCEL_REDIRECT and request.method == "GET":
        return _by_nginx(entry, kind)
    start, end = bounds or (0, entry.size)
    response: HttpResponseBase = HttpResponse() if request.method == "HEAD" else _by_us(entry, start, end)
    response["Content-Type"] = kind
    response["Content-Length"] = str(end - start)
    if bounds:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{end - 1}/{entry.size}"
    return response


def unsatisfiable(size: int) -> HttpResponse:
    """Return the answer to a range in which there is no byte of a file of this size."""
    response = HttpResponse(status=416)
    response["Content-Range"] = f"bytes */{size}"
    return response


def _by_us(entry: Entry, start: int, end: int) -> HttpResponseBase:
    source = holding(end - start, partial(pull.open_bytes, entry, start, end))
    if end - start > SMALL_BYTES:
        return FileResponse(source)
    try:
        return HttpResponse(source.read())
    finally:
        source.close()


def _by_nginx(entry: Entry, kind: str) -> HttpResponseBase:
    """Name the file to the nginx before us, which sends it, ranges too, and frees this thread at once."""
    key = blobs.Keys.blob(entry.sha256)
    if not blobs.object_exists(key):
        raise blobs.lost_object(key)
    response = HttpResponse(content_type=kind)
    response["X-Accel-Redirect"] = f"{settings.ACCEL_REDIRECT}/{key}"
    return response


def span(header: str, size: int) -> tuple[int, int] | None:
    """Return [start, end) for a Range header of one range; None, which means everything, for any other header.

    Raises Unsatisfiable.
    """
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if not match or match[1] == match[2] == "":
        return None
    if match[1] == "":
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
    if start >= end:
        raise Unsatisfiable
    return start, end
