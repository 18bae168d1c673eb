"""The releases whose tables this code can run on: its own and the next one."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
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
