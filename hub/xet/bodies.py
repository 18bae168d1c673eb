"""Request bodies of the Xet routes, which may come chunked and without a length; Django takes those for empty."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from django.http import HttpRequest
from gunicorn.http.errors import ParseException

from hub.server import receiving
from registry.kernel.errors import LengthRequired, PushTooLarge, RegistryError, ValueInvalid


class Body:
    """The bytes of a request, and never more of them than the limit."""

    def __init__(self, request: HttpRequest, read: Callable[[int], bytes], limit: int) -> None:
        self._request, self._read = request, read
        self._limit = self._left = limit

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; empty at the end.

        Raises PushTooLarge past the limit, and ValueInvalid when the client went away or its framing is broken.
        """
        try:
            piece = self._read(size)
        except (OSError, ParseException) as error:
            raise ValueInvalid(f"The body of the request ended too early: {error}.") from None
        self._left -= len(piece)
        if self._left < 0:
            raise PushTooLarge(f"The body is larger than {self._limit:,} bytes.")
        return piece

    def drain(self) -> None:
        """Throw away the rest, up to the limit, as long as it comes: a proxy turns an earlier answer into a 502."""
        try:
            with receiving.time_limit(self._request):
                while self.read(receiving.PIECE):
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
    whole = declared is None
    body = Body(request, request.META["wsgi.input"].read if whole else partial(receiving.read, request), limit)
    try:
        yield body
    except RegistryError:
        body.drain()
        raise
