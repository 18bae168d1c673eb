"""`manage.py migrate`, beside a hub that goes on working; it refuses tables that are not what Django takes them for."""

from typing import Any

from django.apps import apps
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from registry.management import upgrades
from registry.sql import schema


class Command(migrate.Command):
    """Migrate without a pause (registry/management/upgrades.py), then compare the tables with the models.

    The first migration was regenerated with each change of the models until November 2026. A database of an earlier
    state has it on record as applied, so that nothing would be changed, and pages would fail one by one.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        """Raise CommandError with the missing columns and what to do."""
        connection = connections[options["database"]]
        if options["check_unapplied"] or options["plan"]:
            super().handle(*args, **options)
        else:
            with upgrades.alone(connection, self.stdout.write):
                upgrades.giving_way(
                    lambda: super(Command, self).handle(*args, **options), connection, self.stdout.write
                )
        if ("registry", "0001_initial") not in MigrationRecorder(connection).applied_migrations():
            return
        if missing := missing_columns(connection):
            raise CommandError(
                "The database was made by a state of Dovetail before November 2026. Of its tables and columns "
                f"{len(missing)} are missing ({', '.join(missing[:3])} …), and it cannot be brought up to date. Go "
                "back to the state that made it, or start with an empty DATA or database and push the adapters again."
            )
        if not (options["check_unapplied"] or options["plan"]):
            schema.record_upgrade()


def missing_columns(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the tables and columns of the registry's models that a database lacks, as `table` or `table.column`."""
    missing: list[str] = []
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for model in apps.get_app_config("registry").get_models(include_auto_created=True):
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
