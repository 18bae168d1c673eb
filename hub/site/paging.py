"""Pages of lists that go by row ids, newest first, and the numbers that addresses and forms hold."""

from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest

Row = TypeVar("Row", bound=Model)


def number(text: str) -> int:
    """Return a number from outside; 0 for what is none, or larger than any row's id."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def older(request: HttpRequest, rows: QuerySet[Row], size: int) -> tuple[list[Row], int | None]:
    """Return a page of rows, newest first, from below the id `before` of the address; and the `before` of the next."""
    if before := number(request.GET.get("before", "")):
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: size + 1])
    return found[:size], found[size - 1].pk if len(found) > size else None
