"""Pages of rows by id, newest first, with the Link header that clients follow."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from hub.answers import answer
from hub.hf import bodies
from hub.hf.addresses import next_page
from hub.hf.shapes import JSON
from registry.kernel.texts import cursors

PAGE, LONGEST = 100, 500


def paged(request: HttpRequest, rows: QuerySet[Any], shape: Callable[[Any], JSON]) -> HttpResponse:
    """Return one page of rows, each as `shape` makes it. Raises ValueInvalid for a cursor that is not ours."""
    limit = bodies.whole_in(request.GET, "limit", PAGE, LONGEST)
    page = cursors.newest_first(rows, cursors.row_id(request.GET.get("cursor", "")), limit)
    response = answer([shape(row) for row in page.items])
    if page.next:
        response["Link"] = next_page(request, cursor=page.next, limit=str(limit))
    return response
