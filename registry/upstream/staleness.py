"""Ages of answers of other hubs that a request was answered with, though they should have been asked again."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

_ages: ContextVar[list[timedelta] | None] = ContextVar("stale", default=None)


@contextmanager
def observed() -> Iterator[list[timedelta]]:
    """Collect the ages of stale answers that are used meanwhile."""
    ages: list[timedelta] = []
    token = _ages.set(ages)
    try:
        yield ages
    finally:
        _ages.reset(token)


def note(age: timedelta) -> None:
    """Say that an answer of this age was used."""
    ages = _ages.get()
    if ages is not None:
        ages.append(age)
