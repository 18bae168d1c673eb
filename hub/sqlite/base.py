"""Django's backend for SQLite, but for one thing: the text of a query is made what SQLite reads once, not each time.

Django looks for %s in all of it at every execution, which takes longer than SQLite needs to answer a short question.
"""

from functools import lru_cache
from typing import Any

from django.db.backends.sqlite3 import base

TEXTS = 256  # of queries that are remembered, about a kilobyte each


class Cursor(base.SQLiteCursorWrapper):
    """Asks as Django's does."""

    def convert_query(self, query: str, *, param_names: list[str] | None = None) -> str:
        return _converted(query) if param_names is None else str(super().convert_query(query, param_names=param_names))


@lru_cache(TEXTS)
def _converted(query: str) -> str:
    return base.FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%")


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection with such cursors."""

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=Cursor)
