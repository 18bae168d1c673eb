"""Lists in pages by row id, newest first, with the address of the next page as clients follow it."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from hub.answers import answer
from hub.hf import bodies
from hub.hf.addresses import next_page
from hub.hf.shapes import JSON
from registry.errors import ValueInvalid

PAGE, LONGEST = 100, 500


def paged(request: HttpRequest, rows: QuerySet[Any], shape: Callable[[Any], JSON]) -> HttpResponse:
    """Return one page of rows, each as `shape` makes it. Raises ValueInvalid for a cursor that is not ours."""
    limit = bodies.whole_in(request.GET, "limit", PAGE, LONGEST)
    cursor = request.GET.get("cursor", "")
    if cursor and not (cursor.isdecimal() and len(cursor) <= 18):
        raise ValueInvalid("This cursor is not from this hub.", fix="Start again from the first page.")
    wanted = rows.filter(pk__lt=int(cursor)) if cursor else rows
    found = list(wanted.order_by("-pk")[: limit + 1])
    response = answer([shape(row) for row in found[:limit]])
    if len(found) > limit:
        response["Link"] = next_page(request, cursor=str(found[limit - 1].pk), limit=str(limit))
    return response
