"""Changes the tables of a hub that goes on working: waits for its turn, and gives way to those who read and write.

The first migration of a large app goes without Django's wait for every model to be made again after each operation.
Tables of SQLite change without losing the triggers of the database.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.sqlite3.schema import DatabaseSchemaEditor
from django.db.migrations import CreateModel, Migration, RunPython
from django.db.migrations.state import ProjectState
from django.db.models import Model
from django_zero_downtime_migrations.backends.postgres import schema as waiting
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled


class FirstTables(Migration):
    """Creates the tables as they are after its last operation; data steps come after all of them.

    Django renders the models once for each operation, with all that refer to them: 13 s of processor time for a hundred
    tables. Operations other than CreateModel and RunPython may only add to models that this migration creates, so each
    of them is part of a table's last state.
    """

    def apply(
        self, project_state: ProjectState, schema_editor: BaseDatabaseSchemaEditor, collect_sql: bool = False
    ) -> ProjectState:
        """Create the tables, then run the data steps on them; `sqlmigrate` prints the operations one by one."""
        if collect_sql:
            return super().apply(project_state, schema_editor, collect_sql)
        before = project_state.clone()
        project_state.__dict__.pop("apps", None)  # rendered by the next one who asks: once, after the last operation
        for operation in self.operations:
            operation.state_forwards(self.app_label, project_state)
        for operation in self.operations:
            if isinstance(operation, CreateModel | RunPython):
                operation.database_forwards(self.app_label, schema_editor, before, project_state)
        return project_state


class KeepingTriggers(DatabaseSchemaEditor):
    """Takes all triggers off while Django rebuilds a table, and puts them back.

    Django drops the table and renames its copy. SQLite drops the triggers of the table with it, and refuses to rename
    while a trigger of another table speaks of the one that is gone.
    """

    def _remake_table(self, model: type[Model], *args: Any, **changes: Any) -> None:
        """Rebuild the table of a model; the migration's transaction keeps others from seeing it without triggers."""
        triggers = self._triggers()
        for name in triggers:
            self.execute(f"DROP TRIGGER {self.quote_name(name)}")
        super()._remake_table(model, *args, **changes)  # type: ignore[misc]  # the stubs leave it out
        made_again = self._triggers()  # those of a constraint, which the table was built with
        for name, statement in triggers.items():
            if name not in made_again:
                self.execute(statement)

    def _triggers(self) -> dict[str, str]:
        """Return the statement that creates each trigger, by its name."""
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid")
            return dict(cursor.fetchall())


LOCK = 0x646F7665  # our own number among the advisory locks of the database
PAUSES = (1, 2, 5, 10, 20, 30, 30)  # seconds after each attempt to get a table: a long transaction may hold it
IN_USE = (LockNotAvailable, DeadlockDetected)
STILL_IN_USE = (
    "A long transaction keeps a table in use, so the tables are not up to date; the hub was not "
    "blocked. `SELECT pid, xact_start, query FROM pg_stat_activity ORDER BY xact_start` shows it: "
    "wait until it ends, or end it, then run `migrate` again."
)
TOO_LONG = (
    "A statement locked a table for longer than a migration may, and was cancelled. The migrations "
    "before it are done, and the hub continues unchanged: run `migrate` again at a quiet hour, or "
    "while the hub is stopped."
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

    Migrations are not one transaction here, or each of their locks would be held until the last statement. The changes
    of an attempt stay, and the next one skips them. Raises CommandError.
    """
    if connection.vendor != "postgresql":
        connection.SchemaEditorClass = KeepingTriggers
        deed()
        return
    if connection.introspection.table_names():  # else nobody is there, and each migration is one transaction
        connection.SchemaEditorClass = waiting.DatabaseSchemaEditor
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
