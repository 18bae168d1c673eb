"""Sends the bytes of stored objects, whole or one range: by sendfile, by nginx, or from an object store."""

import re
from functools import partial

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase

from hub.server.large_bodies import holding
from registry.bytes import blobs
from registry.bytes.blobs import Keys
from registry.repos import pull
from registry.repos.manifest import Entry

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
    key = Keys.blob(entry.sha256)
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
