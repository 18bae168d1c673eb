"""Pages of lists that go by row ids, newest first: where one begins, and where the next one does."""

from typing import TypeVar

from django.db.models import Model, QuerySet

from registry.kernel import ids
from registry.kernel.errors import ValueInvalid

Row = TypeVar("Row", bound=Model)


def before(cursor: str) -> int:
    """Return the row id below which a page begins; 0 for the first one. Raises ValueInvalid for what is no cursor."""
    found = ids.row(cursor)
    if cursor and not found:
        raise ValueInvalid("This cursor is not from this hub.", fix="Start again from the first page.")
    return found


def older(rows: QuerySet[Row], below: int, size: int) -> tuple[list[Row], str]:
    """Return a page of rows, newest first, from below a row id (0: from the newest); and the cursor of the next one."""
    found = list((rows.filter(pk__lt=below) if below else rows).order_by("-pk")[: size + 1])
    return found[:size], str(found[size - 1].pk) if len(found) > size else ""
