"""Request bodies of the Xet routes, which may come chunked and without a length; Django takes those for empty."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from django.http import HttpRequest
from gunicorn.http.errors import ParseException

from registry.errors import LengthRequired, PushTooLarge, RegistryError, ValueInvalid

PIECE = 256 << 10


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Body:
    """The bytes of a request, fetched by pieces: servers copy what is left of their buffer on every small read."""

    def __init__(self, stream: _Stream, limit: int) -> None:
        self._stream, self._left = stream, limit
        self._limit = limit
        self._piece, self._at = b"", 0

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; empty at the end.

        Raises PushTooLarge past the limit, and ValueInvalid when the client went away or its framing is broken.
        """
        if self._at == len(self._piece):
            self._piece, self._at = self._fetch(), 0
        data = self._piece[self._at : self._at + size]
        self._at += len(data)
        return data

    def _fetch(self) -> bytes:
        try:
            piece = self._stream.read(PIECE)
        except (OSError, ParseException) as error:
            raise ValueInvalid(f"The body of the request ended too early: {error}.") from None
        self._left -= len(piece)
        if self._left < 0:
            raise PushTooLarge(f"The body is larger than {self._limit:,} bytes.")
        return piece

    def drain(self) -> None:
        """Throw away the rest, up to the limit: a proxy turns an answer before the end of a body into a 502."""
        try:
            while self._fetch():
                pass
        except RegistryError:
            return


@contextmanager
def accepted(request: HttpRequest, limit: int) -> Iterator[Body]:
    """Yield the body of a request of at most `limit` bytes, and drain it before a refusal travels on.

    Raises PushTooLarge at once for a declared length over the limit (nothing is read then), and LengthRequired where
    only a declared length would tell the end.
    """
    declared = request.META.get("CONTENT_LENGTH") or None
    if declared is None and not request.META.get("wsgi.input_terminated"):
        raise LengthRequired("This server cannot take a body without a length.")
    if declared is not None and int(declared) > limit:
        raise PushTooLarge(f"The body is {int(declared):,} bytes long; {limit:,} are allowed.")
    # A server that ends the input itself hands over chunked bodies whole; Django's own reader stops at length 0.
    body = Body(request if declared is not None else request.META["wsgi.input"], limit)
    try:
        yield body
    except RegistryError:
        body.drain()
        raise
