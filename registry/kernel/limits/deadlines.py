"""A limit of time for a query whose cost depends on what somebody asks."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction

from registry.kernel.errors import SearchTooSlow

SECONDS = 5
_CANCELED = "57014"  # PostgreSQL's code for a statement that was ended, by its timeout too


@contextmanager
def bounded(what: str) -> Iterator[None]:
    """Have PostgreSQL end each query in this block after SECONDS, and raise SearchTooSlow then.

    SQLite, which knows no such limit, is for hubs whose lists are short.
    """
    if connection.vendor != "postgresql":
        yield
        return
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {round(SECONDS * 1000)}")
            yield
            if connection.savepoint_ids:  # inside another transaction, whose later queries have no such limit
                cursor.execute("SET LOCAL statement_timeout = DEFAULT")
    except OperationalError as problem:
        if getattr(problem.__cause__, "sqlstate", "") != _CANCELED:
            raise
        raise SearchTooSlow(f"This {what} takes the database longer than {SECONDS} s.") from problem
