"""Cursors of pages of rows, and row numbers as clients write them: in digits, or as 24 hex digits as the Hub does."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from django.core import signing
from django.db.models import Model, QuerySet

from registry.kernel.errors import ValueInvalid


def format_hub_id(number: int) -> str:
    """Return a row's number as an id."""
    return f"{number:024x}"


def parse_hub_id(text: str) -> int:
    """Return the row's number of an id; 0, which no row has, for any other text."""
    is_id = 0 < len(text) <= 24 and all(char in "0123456789abcdef" for char in text.lower())
    number = int(text, 16) if is_id else 0
    return number if number < 1 << 63 else 0


def parse_row_number(text: str) -> int:
    """Return a row's number from an address or a form; 0 for any other text, or a number that no row can have."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0


Item = TypeVar("Item")
Row = TypeVar("Row", bound=Model)
_SALT = "catalog.cursor."


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list, and the cursor of the next one ("" at the end)."""

    items: list[Item]
    next: str = ""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a list that is sorted by a value and, among equal values, by the row's id."""

    value: datetime | float
    row: int | str

    def sign(self, order: str) -> str:
        """Return the signed text of this position; it is valid for lists of this order only."""
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        return signing.dumps([value, self.row], salt=_SALT + order)

    @classmethod
    def verify(cls, text: str, order: str) -> "Cursor":
        """Return the position of a text. Raises ValueInvalid for one that this hub did not sign for this order."""
        try:
            value, row = signing.loads(text, salt=_SALT + order)
        except signing.BadSignature:
            raise _foreign() from None
        return cls(datetime.fromisoformat(value) if isinstance(value, str) else value, row)


def following(rows: QuerySet[Row], column: str, cursor: Cursor, limit: int, *, is_ascending: bool = False) -> list[Row]:
    """Return the rows after a cursor, of a list that is sorted by a column and the id."""
    # Two half-queries, because SQLite compares the row value (column, id) by its first part only.
    beyond = "gt" if is_ascending else "lt"
    tied = list(rows.filter(**{column: cursor.value, f"pk__{beyond}": cursor.row})[:limit])
    return tied + list(rows.filter(**{f"{column}__{beyond}": cursor.value})[: limit - len(tied)])


def row_id(text: str) -> int:
    """Return the id of the row below which a page begins; 0 for the first page. Raises ValueInvalid."""
    number = parse_row_number(text)
    if text and not number:
        raise _foreign()
    return number


def newest_first(rows: QuerySet[Row], below: int, size: int) -> Page[Row]:
    """Return a page of rows by falling id, from below an id (0: from the newest); its cursor is the last row's id."""
    items = list((rows.filter(pk__lt=below) if below else rows).order_by("-pk")[: size + 1])
    return Page(items[:size], str(items[size - 1].pk) if len(items) > size else "")


def _foreign() -> ValueInvalid:
    return ValueInvalid("Invalid cursor.", fix="Start again from the first page.")
