"""Rules for migrations beside a hub that goes on working, with code of the release before on the same tables.

`migrate` itself (registry/management/upgrades.py) builds indexes concurrently, checks constraints afterwards and bounds
locks. These rules are about what no way of writing a statement can mend. Libraries that lint migrations read SQL; they
know neither which release has given a column up, nor batches, and on SQLite they take a rebuilt table for a new one.
"""

import re
from collections.abc import Iterator
from typing import Any

from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Field

from registry.repos import search_index
from registry.sql.schema import InBatches

HARMLESS = (
    migrations.CreateModel,
    migrations.AddIndex,
    migrations.RemoveIndex,
    migrations.RenameIndex,
    migrations.AddConstraint,
    migrations.RemoveConstraint,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
)
TWO_STEPS = (
    migrations.RemoveField,
    migrations.RenameField,
    migrations.DeleteModel,
    migrations.RenameModel,
    migrations.AlterModelTable,
)
# Arguments of a field that change neither its column nor which rows the database takes.
OF_CODE_ALONE = {
    "verbose_name", "help_text", "choices", "blank", "default", "db_default", "validators", "editable", "related_name",
    "related_query_name", "limit_choices_to", "error_messages",
}  # fmt: skip
OF_SEARCH = (search_index.create, search_index.create_list_indexes, search_index.create_word_indexes)
DROP = re.compile(r"ALTER TABLE (\w+) DROP COLUMN (\w+);?|DROP TABLE (\w+);?")


class Rules:
    """Looks through migrations in their order; `given_up` are columns and tables that released code no longer uses."""

    def __init__(self, newest_released: str) -> None:
        self.newest_released = newest_released
        self.given_up: set[str] = set()

    def problems(self, migration: migrations.Migration, state: ProjectState) -> list[str]:
        """Return what is unsafe in a migration, each with the operation and the way to do it; state is changed."""
        found = []
        for operation in migration.operations:
            for problem in self._of(operation, migration, state):
                found.append(f"{migration.name}: {operation.describe()}: {problem}")
            operation.state_forwards(migration.app_label, state)
        return found if migration.name > self.newest_released else []

    def _of(self, operation: Operation, migration: migrations.Migration, state: ProjectState) -> Iterator[str]:
        if isinstance(operation, migrations.SeparateDatabaseAndState):
            for part in operation.database_operations:
                yield from self._of(part, migration, state)
            for part in operation.state_operations:
                yield from self._given_up(part, migration, state)
        elif isinstance(operation, TWO_STEPS):
            yield "two steps: code gives it up in one release (state_operations), a later one drops it"
        elif isinstance(operation, migrations.AddField):
            if not _takes_rows_without_it(operation.field):
                yield "code of the release before does not name it: null or db_default"
        elif isinstance(operation, migrations.AlterField):
            yield from _altered(_field(state, migration, operation.model_name, operation.name), operation.field)
        elif isinstance(operation, migrations.RunPython):
            is_of_search = operation.code in OF_SEARCH
            if not is_of_search and (not isinstance(operation.code, InBatches) or operation.atomic is not False):
                yield "rows are changed by RunPython(InBatches(…), atomic=False)"
        elif isinstance(operation, migrations.RunSQL):
            yield from self._dropped(str(operation.sql))
        elif not isinstance(operation, HARMLESS):
            yield "not known to be safe while the hub works: tests/upgrade/rules.py"

    def _given_up(self, part: Operation, migration: migrations.Migration, state: ProjectState) -> Iterator[str]:
        """Record what code gives up; its INSERTs no longer name the column."""
        if isinstance(part, migrations.RemoveField):
            field = _field(state, migration, part.model_name, part.name)
            if not _takes_rows_without_it(field):
                yield "first null or db_default, since this release no longer names it"
            if migration.name <= self.newest_released:
                self.given_up.add(f"{_table(state, migration, part.model_name)}.{_column(field, part.name)}")
        elif isinstance(part, migrations.DeleteModel):
            if migration.name <= self.newest_released:
                self.given_up.add(_table(state, migration, part.name))
        elif not isinstance(part, HARMLESS):
            yield "state_operations give up fields and models, and nothing else"

    def _dropped(self, sql: str) -> Iterator[str]:
        matched = DROP.fullmatch(sql.strip())
        if not matched:
            yield "SQL drops a column or a table, and nothing else: ALTER TABLE … DROP COLUMN …, DROP TABLE …"
            return
        table, column, whole = matched.groups()
        if (whole or f"{table}.{column}") not in self.given_up:
            yield "the release before still uses it: give it up first, drop it in the release after that"


def _takes_rows_without_it(field: Any) -> bool:
    return bool(
        field.null or field.has_db_default() or field.many_to_many or (field.generated and not field.db_persist)
    )


def _altered(before: Field, after: Field) -> Iterator[str]:
    (_, old_class, _, old), (_, new_class, _, new) = before.deconstruct(), after.deconstruct()
    changed = {name for name in {*old, *new} if old.get(name) != new.get(name)} - OF_CODE_ALONE
    if before.null is False and after.null is True:
        changed -= {"null"}
    if (new.get("max_length") or 0) > (old.get("max_length") or 0):
        changed -= {"max_length"}
    if new.get("db_constraint") is False:
        changed -= {"db_constraint"}
    if old_class != new_class:
        changed.add("type")
    if changed:
        yield f"code of the release before expects the column as it is ({', '.join(sorted(changed))}): add another one"


def _field(state: ProjectState, migration: migrations.Migration, model: str, name: str) -> Any:
    return state.models[migration.app_label, model.lower()].get_field(name)


def _table(state: ProjectState, migration: migrations.Migration, model: str) -> str:
    options = state.models[migration.app_label, model.lower()].options
    return str(options.get("db_table") or f"{migration.app_label}_{model.lower()}")


def _column(field: Any, name: str) -> str:
    return str(field.db_column or (f"{name}_id" if field.remote_field else name))
