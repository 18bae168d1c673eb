"""Changes tables of SQLite without losing the triggers of the database."""

from typing import Any

from django.db.backends.sqlite3.schema import DatabaseSchemaEditor
from django.db.models import Model


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
