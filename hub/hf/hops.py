"""The number of hubs that a request passed: hubs that read from each other must not ask in a circle."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.http import HttpRequest

from registry.upstream import asking


@contextmanager
def came_through(request: HttpRequest) -> Iterator[None]:
    """Let requests to other hubs, while this one is answered, say how many it passed before."""
    header = request.headers.get(asking.HOPS_HEADER, "0")
    token = asking.hops.set(int(header) if header.isdecimal() and len(header) < 4 else asking.MAX_HOPS)
    try:
        yield
    finally:
        asking.hops.reset(token)
