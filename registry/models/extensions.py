"""Extensions of Django: comparisons that queries use on every model, and tables whose rows are only ever added.

The model refuses to change and delete such rows, and so do triggers of the database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from django.db import connection, models, transaction
from django.db.backends.ddl_references import Statement, Table
from django.db.models.functions import Lower

FUNCTION = """
CREATE OR REPLACE FUNCTION dovetail_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION USING MESSAGE = 'rows of ' || TG_TABLE_NAME || ' are only ever added'; END $$
"""


class ChangeRefused(TypeError):
    """Code tried to change or delete a row that is kept as it was written."""


class AppendOnly(models.BaseConstraint):
    """A constraint that refuses UPDATE, DELETE and TRUNCATE by triggers, also for a person with a SQL prompt.

    As a constraint it becomes part of the migration that makes the table, on both databases.
    """

    def constraint_sql(self, model: Any, schema_editor: Any) -> str:
        """Return no clause of CREATE TABLE; the triggers are made after the table.

        Where SQLite rebuilds a table, it has another name until then: a `Statement` follows that.
        """
        table = Table(model._meta.db_table, str)
        statements = _create("%(table)s", self.name, schema_editor.connection.vendor)
        schema_editor.deferred_sql.extend(Statement(text, table=table) for text in statements)
        return ""

    def create_sql(self, model: Any, schema_editor: Any) -> str:
        for statement in _create(model._meta.db_table, self.name, schema_editor.connection.vendor):
            schema_editor.execute(statement)
        return "SELECT 1"

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        for statement in _drop(model, self.name, schema_editor.connection.vendor):
            schema_editor.execute(statement)
        return "SELECT 1"

    def validate(self, *args: Any, **options: Any) -> None:
        """Accept every new row."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AppendOnly) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


def _create(table: str, name: str, vendor: str) -> list[str]:
    if vendor == "postgresql":
        row = f"BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION dovetail_refuse_change()"
        whole = f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION dovetail_refuse_change()"
        return [
            FUNCTION,
            *(f"CREATE OR REPLACE TRIGGER {name}_{part} {rule}" for part, rule in (("row", row), ("all", whole))),
        ]
    refuse = f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are only ever added'); END"
    return [f"CREATE TRIGGER {name}_{verb} BEFORE {verb.upper()} ON {table} {refuse}" for verb in ("update", "delete")]


def _drop(model: Any, name: str, vendor: str) -> list[str]:
    if vendor == "postgresql":
        return [f"DROP TRIGGER IF EXISTS {name}_{part} ON {model._meta.db_table}" for part in ("row", "all")]
    return [f"DROP TRIGGER IF EXISTS {name}_{verb}" for verb in ("update", "delete")]


class AddedRows(models.QuerySet[Any]):
    """Rows that can be added and read."""

    def update(self, **values: Any) -> NoReturn:
        raise ChangeRefused(f"Rows of {self.model._meta.verbose_name_plural} are never changed.")

    def delete(self) -> NoReturn:
        raise ChangeRefused(f"Rows of {self.model._meta.verbose_name_plural} are never deleted.")

    def bulk_update(self, *args: Any, **options: Any) -> NoReturn:
        raise ChangeRefused(f"Rows of {self.model._meta.verbose_name_plural} are never changed.")


class AppendOnlyModel(models.Model):
    """The base class of such a table; each adds an `AppendOnly` constraint of its own name."""

    objects = models.Manager.from_queryset(AddedRows)()

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise ChangeRefused(f"{self} is kept as it was written.")
        super().save(*args, **{**options, "force_insert": True})

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        raise ChangeRefused(f"{self} is kept as it was written.")


@contextmanager
def lifted(*tables: type[models.Model]) -> Iterator[None]:
    """Take the triggers of these tables off for one transaction: for the retention command alone."""
    guards = [
        (table, guard.name) for table in tables for guard in table._meta.constraints if isinstance(guard, AppendOnly)
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        for table, name in guards:
            _run(cursor, _drop(table, name, connection.vendor))
        yield
        for table, name in guards:
            _run(cursor, _create(table._meta.db_table, name, connection.vendor))


def _run(cursor: Any, statements: list[str]) -> None:
    for statement in statements:
        cursor.execute(statement)


# Lets queries say name__lower=…, which uses the unique index on Lower(name) in both databases; iexact does not.
models.CharField.register_lookup(Lower)
models.EmailField.register_lookup(Lower)


@models.CharField.register_lookup
class SqlLike(models.Lookup):
    """Lets queries say name__lower__like="ner-%": the SQL operator, with a backslash before a literal % or _."""

    lookup_name = "like"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        """Return the comparison."""
        left, left_values = self.process_lhs(compiler, connection)
        right, right_values = self.process_rhs(compiler, connection)
        return f"{left} LIKE {right} ESCAPE '\\'", (*left_values, *right_values)
