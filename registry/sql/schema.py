"""The releases whose tables this code can run on, and changes of large tables in migrations, in batches."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import StateApps
from django.db.models import QuerySet
from django.utils.version import get_version_tuple

from registry.models import SchemaUpgrade

APP = "registry"
OLDER = "The tables of the database are older than this code: run `manage.py migrate`, then it goes on by itself."


@cache
def migrations_of_code() -> frozenset[str]:
    """Return the names of our migrations without importing them: to import the first one takes a tenth of a second."""
    name, _ = MigrationLoader.migrations_module(APP)
    assert name, "no setting turns migrations off"
    package = import_module(name)
    return frozenset(module.name for module in iter_modules(package.__path__) if module.name[0] not in "_~")


def applied() -> frozenset[str]:
    """Return the names of our migrations that the database has on record."""
    rows = MigrationRecorder(connection).migration_qs.filter(app=APP)
    return frozenset(rows.values_list("name", flat=True))


def mismatch() -> str:
    """Return why this code must not run on these tables, with what to do; empty if it may."""
    recorded = applied()
    if migrations_of_code() - recorded:
        return OLDER
    if not recorded - migrations_of_code():
        return ""
    newest = SchemaUpgrade.objects.order_by("-pk").first()
    if newest and get_version_tuple(settings.RELEASE) >= get_version_tuple(newest.serves_from):
        return ""
    release, oldest = (newest.release, newest.serves_from) if newest else ("a later release", "a later one")
    return (
        f"The tables of the database are those of {release}, on which code of {oldest} and later runs, and this is "
        f"{settings.RELEASE}: run {release} again, or restore the backup that was made before it."
    )


def record_upgrade() -> None:
    """Record that the tables are those of this release, unless they are so on record, or a later release's."""
    if applied() != migrations_of_code():
        return
    newest = SchemaUpgrade.objects.order_by("-pk").first()
    if newest is None or (newest.release, newest.serves_from) != (settings.RELEASE, settings.SERVES_FROM):
        SchemaUpgrade.objects.create(release=settings.RELEASE, serves_from=settings.SERVES_FROM)


BATCH = 1000


class InBatches:
    """The code of a `RunPython(…, atomic=False)`: calls `change` with the rows of each batch, in its own transaction.

    After a failure the migration starts again from the first row: `change` must be right for rows that it has changed.
    """

    def __init__(self, model: str, change: Callable[[QuerySet[Any]], object], size: int = BATCH) -> None:
        self.model, self.change, self.size = model, change, size

    def __call__(self, apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        alias = editor.connection.alias
        rows = apps.get_model("registry", self.model)._base_manager.using(alias).order_by("pk")
        keys = list(rows.values_list("pk", flat=True)[: self.size])
        while keys:
            with transaction.atomic(alias):
                self.change(rows.filter(pk__in=keys))
            keys = list(rows.filter(pk__gt=keys[-1]).values_list("pk", flat=True)[: self.size])
