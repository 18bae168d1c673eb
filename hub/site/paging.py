"""Pages of lists on the website; an address with a number that is none shows the first one."""

from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from registry.kernel import cursors, ids

Row = TypeVar("Row", bound=Model)


def older(request: HttpRequest, rows: QuerySet[Row], size: int) -> tuple[list[Row], str]:
    """Return a page of rows, newest first, from below the id `before` of the address; and the `before` of the next."""
    page = cursors.newest_first(rows, ids.parse_row_number(request.GET.get("before", "")), size)
    return page.items, page.next
