"""Builds the Link header of the next page."""

from django.http import HttpRequest

from hub.moved import raw_path
from hub.origin import origin


def next_page(request: HttpRequest, **changed: str) -> str:
    """Return the Link header of the next page: absolute, with every filter of this one."""
    query = request.GET.copy()
    for key, value in changed.items():
        query[key] = value
    return f'<{origin(request)}{raw_path(request)}?{query.urlencode()}>; rel="next"'
