"""What features add to the tables of the tests that walk all of the hub: the `tests/answers.py` of each."""

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from features import FEATURES


def rows(table: str) -> list[Any]:
    """Return the rows that all features add to a table; of a table with keys (key, row)."""
    found: list[Any] = []
    for name in FEATURES:
        path = f"features.{name}.tests.answers"
        has_them = find_spec(f"features.{name}.tests") and find_spec(path)
        more: Iterable[Any] = getattr(import_module(path), table, ()) if has_them else ()
        found += more.items() if isinstance(more, dict) else more
    return found
