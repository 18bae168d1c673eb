"""A fact that somebody states in a file, with its source; nothing of it is measured."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_TEXT = 200
MAX_ITEMS = 20  # of a list
_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{0,18})?(?:[eE][-+]?\d{1,3})?")  # YAML 1.1 reads 1e-5 as a text


@dataclass(frozen=True, slots=True)
class Stated:
    """One fact and its source, `file:key`."""

    name: str
    value: float | str
    source: str

    @property
    def is_number(self) -> bool:
        return isinstance(self.value, float)


def stated(name: str, value: object, source: str) -> Iterator[Stated]:
    """Yield the fact; nothing for an empty value, a mapping, or what a page cannot show."""
    plain = _plain(value)
    if plain is not None and name.isprintable() and source.isprintable():
        yield Stated(name[:MAX_TEXT], plain, source[: 2 * MAX_TEXT])


def is_number(value: object) -> bool:
    """Return whether this is a finite number, and no switch."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _plain(value: object) -> float | str | None:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return float(value) if is_number(value) else None
        case str():
            return _text(value.strip())
        case list():
            items = [str(item) for item in value[:MAX_ITEMS] if isinstance(item, str) or is_number(item)]
            text = ", ".join(items)[:MAX_TEXT]
            return text if text and text.isprintable() else None
    return None


def _text(value: str) -> float | str | None:
    if _NUMBER.fullmatch(value) and math.isfinite(float(value)):
        return float(value)
    return value[:MAX_TEXT] if value.isprintable() and value.lower() not in ("", "none", "null") else None
