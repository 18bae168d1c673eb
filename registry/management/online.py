"""Changes the tables of a hub that goes on working: waits for its turn, and gives way to those who read and write."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django_zero_downtime_migrations.backends.postgres.schema import DatabaseSchemaEditor
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled

from registry.management.sqlite_schema import KeepingTriggers

LOCK = 0x646F7665  # our own number among the advisory locks of the database
PAUSES = (1, 2, 5, 10, 20, 30, 30)  # seconds after each attempt to get a table: a long transaction may hold it
IN_USE = (LockNotAvailable, DeadlockDetected)
STILL_IN_USE = (
    "A long transaction keeps a table in use, so the tables are not up to date; nobody was kept from them. "
    "`SELECT pid, xact_start, query FROM pg_stat_activity ORDER BY xact_start` names it: wait for its end, or end it, "
    "then run `migrate` again. It goes on where it stopped."
)
TOO_LONG = (
    "A statement kept others from a table for longer than a migration may, and was cancelled. What was done before it "
    "stays, and the hub goes on as it was: run `migrate` again at a quiet hour, or while the hub is stopped."
)


@contextmanager
def alone(connection: BaseDatabaseWrapper, say: Callable[[str], object]) -> Iterator[None]:
    """Let nobody else migrate this database meanwhile; a second one waits.

    It asks again and again rather than wait in the database: an index that is built concurrently would wait for that
    statement, and so each of the two for the other. The server releases the lock of a process that was killed.
    """
    if connection.vendor != "postgresql":
        yield
        return
    holder = connection.copy()
    holder.settings_dict["OPTIONS"].pop("pool", None)  # a pool would keep the connection, and the lock with it
    try:
        if not _takes_lock(holder):
            say("Another `migrate` runs on this database; waiting for its end …")
            while not _takes_lock(holder):
                time.sleep(1)
        yield
    finally:
        holder.close()


def _takes_lock(holder: BaseDatabaseWrapper) -> bool:
    with holder.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        row = cursor.fetchone()
        return bool(row and row[0])


def giving_way(deed: Callable[[], object], connection: BaseDatabaseWrapper, say: Callable[[str], object]) -> None:
    """Run migrations; where a table is in use for long, let those who wait behind us go first, and try again.

    Migrations are not one transaction here, or each of their locks would be held until the last statement. What an
    attempt has done stays, and the next one skips it. Raises CommandError.
    """
    if connection.vendor != "postgresql":
        connection.SchemaEditorClass = KeepingTriggers
        deed()
        return
    if connection.introspection.table_names():  # else nobody is there, and each migration is one transaction
        connection.SchemaEditorClass = DatabaseSchemaEditor
    for pause in PAUSES:
        try:
            deed()
        except OperationalError as problem:
            if isinstance(problem.__cause__, QueryCanceled):
                raise CommandError(TOO_LONG) from problem
            if not isinstance(problem.__cause__, IN_USE):
                raise
            say(f"A table is in use by a long transaction; the next attempt is in {pause} s.")
            with connection.cursor() as cursor:  # the failed statement has left its limits of time in the session
                cursor.execute("RESET lock_timeout")
                cursor.execute("RESET statement_timeout")
            time.sleep(pause)
        else:
            return
    raise CommandError(STILL_IN_USE)
