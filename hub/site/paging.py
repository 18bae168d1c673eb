"""Pages of lists on the website; an address with a number or cursor that is none shows the first one."""

from collections.abc import Callable
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from registry.kernel.errors import ValueInvalid
from registry.kernel.texts import cursors

Row = TypeVar("Row", bound=Model)
Found = TypeVar("Found")
FOREIGN = _("This page of the list is no longer there: its address is of another list. This is the first page.")


def older(request: HttpRequest, rows: QuerySet[Row], size: int) -> tuple[list[Row], str]:
    """Return a page of rows, newest first, from below the id `before` of the address; and the `before` of the next."""
    page = cursors.newest_first(rows, cursors.parse_row_number(request.GET.get("before", "")), size)
    return page.items, page.next


def at_cursor(request: HttpRequest, find: Callable[[str], Found]) -> tuple[Found, tuple[str, ...]]:
    """Return the page at the cursor of the address; in place of one that is not of this list, the first, and why."""
    cursor = request.GET.get("cursor", "")
    try:
        return find(cursor), ()
    except ValueInvalid:
        if not cursor:
            raise
    return find(""), (str(FOREIGN),)
