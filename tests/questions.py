"""How often a block asks the database: the same number on each of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext

_AROUND = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "SET LOCAL ")


class Questions(CaptureQueriesContext):
    """The queries of a block, without the limits of time that PostgreSQL has for some, and their savepoints."""

    def __init__(self) -> None:
        super().__init__(connection)

    @property
    def captured_queries(self) -> list[dict[str, str]]:
        """Each query, with its time."""
        return [query for query in super().captured_queries if not query["sql"].startswith(_AROUND)]


@contextmanager
def at_most(number: int) -> Iterator[None]:
    """Fail where a block asks more often."""
    with Questions() as asked:
        yield
    assert len(asked) <= number, "\n".join([f"{len(asked)} queries:", *(query["sql"] for query in asked)])
