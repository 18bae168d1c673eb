"""Django's backend for SQLite, which converts the placeholders of a query text once and not at each execution.

Django replaces %s by ? in the whole text each time: 52 µs for a repository with its namespace, 106 µs for a verdict
with its revision and repository; a cached text takes 0.06 µs (Django 5.2, two cores). `convert_query` is no public
method of Django.
"""

from typing import Any

from django.db.backends.sqlite3 import base

MAX_TEXTS = 256  # about a kilobyte each
_texts: dict[str, str] = {}


class Cursor(base.SQLiteCursorWrapper):
    """A cursor that remembers the texts it has converted."""

    def convert_query(self, query: str, *, param_names: list[str] | None = None) -> str:
        """Return the text with the placeholders of SQLite."""
        if param_names is not None:
            return str(super().convert_query(query, param_names=param_names))
        text = _texts.get(query)
        if text is None:
            if len(_texts) >= MAX_TEXTS:
                _texts.clear()
            text = _texts[query] = str(super().convert_query(query))
        return text


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection with such cursors."""

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=Cursor)
