"""A sweep: one test that asks its question of every row of a table, and names each row that fails.

As a test for each row, most of the time would go into what pytest, the fixtures and the database do around it.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.db import connection, transaction

from registry.kernel import site_settings
from registry.people import name_rules


def sweep(
    names: str, rows: Iterable[Any], *, of_features: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a test as `pytest.mark.parametrize` does: `names` of arguments, and a value (or a tuple) in each row.

    The fixtures are made once. What a row writes into the database and what it patches is undone before the next one,
    which gets a `tmp_path` of its own, and what `again` returns of a fixture that has it. What a row does to other
    fixtures stays. A table without rows is a mistake, unless features alone have them: the core is tested without any.
    """
    arguments = [name.strip() for name in names.split(",")]
    table = [dict(zip(arguments, row if len(arguments) > 1 else (row,), strict=True)) for row in rows]
    assert table or of_features, "a sweep over nothing asks nothing"

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def of_all_rows(subtests: pytest.Subtests, **fixtures: Any) -> None:
            for number, row in enumerate(table):
                with _named(row, subtests), pytest.MonkeyPatch.context() as patch, _undone():
                    own = {name: one.again() for name, one in fixtures.items() if hasattr(one, "again")}
                    if "monkeypatch" in fixtures:
                        own["monkeypatch"] = patch
                    if "tmp_path" in fixtures:
                        own["tmp_path"] = fixtures["tmp_path"] / f"row-{number}"
                        own["tmp_path"].mkdir()
                    test(**fixtures | own | row)

        others = [one for name, one in inspect.signature(test).parameters.items() if name not in arguments]
        first = inspect.Parameter("subtests", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        of_all_rows.__signature__ = inspect.Signature([first, *others])  # type: ignore[attr-defined]  # pytest reads it, and typeshed lacks it
        return of_all_rows

    return decorate


def at_merge(*rows: Any) -> list[Any]:
    """Return rows of `pytest.mark.parametrize` that ask the same again: they are of the tier *merge*."""
    return [pytest.param(*(row if isinstance(row, tuple) else (row,)), marks=pytest.mark.merge) for row in rows]


@contextmanager
def _named(row: dict[str, Any], subtests: pytest.Subtests) -> Iterator[None]:
    """Report a row that failed or was skipped; a report of each that passed would take longer than most rows."""
    try:
        yield
    except (Exception, pytest.fail.Exception, pytest.skip.Exception) as outcome:
        with subtests.test(**row):
            raise outcome


def forget() -> None:
    """Forget what processes keep between requests: counters, what was cached, site settings and rules for names."""
    caches["counters"].clear()
    LocMemCache.clear(caches["default"])  # without a broker, its values are in the memory of this process
    for module in (site_settings, name_rules, name_rules):
        module.clear_cache()


@contextmanager
def _undone() -> Iterator[None]:
    """Undo what is written into the database meanwhile; a test that commits keeps it."""
    forget()
    if not connection.in_atomic_block:
        yield
        return
    row = transaction.atomic()
    row._from_testcase = True  # type: ignore[attr-defined]  # as in TestCase: code may ask for the outermost one
    with row:
        yield
        transaction.set_rollback(True)
