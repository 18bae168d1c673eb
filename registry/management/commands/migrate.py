"""`manage.py migrate`, beside a hub that goes on working; it refuses tables that are not what Django takes them for."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from registry.management import upgrades
from registry.sql import schema


class Command(migrate.Command):
    """Migrate without a pause (registry/management/upgrades.py), if the tables are what the migrations on record make.

    The first migration was regenerated with each change of the models until November 2026. A database of an earlier
    state has it on record as applied, and later migrations would fail half-way.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        """Raise CommandError with the missing columns and what to do, before anything is changed."""
        connection = connections[options["database"]]
        if missing := missing_columns(connection):
            raise CommandError(
                "The database was made by a state of Dovetail before November 2026. Of its tables and columns "
                f"{len(missing)} are missing ({', '.join(missing[:3])} …), and it cannot be brought up to date. "
                "Nothing was changed. Go back to the state that made it, or start with an empty DATA or database and "
                "push the adapters again."
            )
        if options["check_unapplied"] or options["plan"]:
            super().handle(*args, **options)
            return
        with upgrades.alone(connection, self.stdout.write):
            upgrades.giving_way(lambda: super(Command, self).handle(*args, **options), connection, self.stdout.write)
        schema.record_upgrade()


def missing_columns(connection: BaseDatabaseWrapper) -> list[str]:
    """Return what a database lacks of what the registry's migrations on record made, as `table` or `table.column`."""
    loader = MigrationLoader(connection)
    on_record = [name for name in loader.applied_migrations if name in loader.graph.nodes and name[0] == "registry"]
    if not on_record:
        return []
    missing: list[str] = []
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for model in loader.project_state(on_record).apps.get_app_config("registry").get_models():
            table = model._meta.db_table
            if not model._meta.managed:
                continue
            if table not in tables:
                missing.append(table)
                continue
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)} WHERE 1 = 0")  # noqa: S608  # our own name
            columns = {column[0] for column in cursor.description}
            fields = (field.column for field in model._meta.local_concrete_fields)
            missing += [f"{table}.{column}" for column in fields if column not in columns]
    return missing
