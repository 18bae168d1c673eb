"""Code runs on tables of its own release and of the next one, and on no others."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from hub.monitoring import health
from registry.models import SchemaUpgrade
from registry.sql import schema

pytestmark = pytest.mark.django_db


def also_applied(name: str = "9999_next") -> None:
    MigrationRecorder(connection).record_applied("registry", name)


def test_the_names_are_those_of_the_files():
    assert "0001_initial" in schema.migrations_of_code()
    assert schema.migrations_of_code() == schema.applied()


def test_its_own_tables_are_right():
    assert schema.mismatch() == ""


def test_older_tables_are_not(monkeypatch):
    monkeypatch.setattr(schema, "migrations_of_code", lambda: schema.applied() | {"0002_later"})
    assert "manage.py migrate" in schema.mismatch()


@pytest.mark.parametrize(("code", "is_right"), [("0.2.0", False), ("0.3.0", True), ("0.3.1", True), ("0.10.0", True)])
def test_tables_of_the_next_release_are_right_and_those_after_it_are_not(settings, code, is_right):
    also_applied()
    SchemaUpgrade.objects.create(release="0.3.0", serves_from="0.2.0")
    SchemaUpgrade.objects.create(release="0.4.0", serves_from="0.3.0")
    settings.RELEASE = code
    problem = schema.mismatch()
    assert (problem == "") is is_right
    if not is_right:
        assert "0.4.0" in problem
        assert "0.3.0" in problem


def test_later_tables_without_a_word_which_code_they_serve_are_refused():
    also_applied()
    SchemaUpgrade.objects.all().delete()
    assert "restore the backup" in schema.mismatch()


def test_migrate_records_the_release_once_and_older_code_does_not_overwrite_it(settings):
    SchemaUpgrade.objects.all().delete()
    call_command("migrate", verbosity=0)
    call_command("migrate", verbosity=0)
    [row] = SchemaUpgrade.objects.all()
    assert (row.release, row.serves_from) == (settings.RELEASE, settings.SERVES_FROM)
    also_applied()
    settings.RELEASE = "0.0.9"
    call_command("migrate", verbosity=0)
    assert SchemaUpgrade.objects.count() == 1


def test_tables_that_their_migrations_did_not_make_are_refused_before_anything_is_changed():
    MigrationRecorder(connection).migration_qs.filter(app="registry", name__gte="0002").delete()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE registry_knownxorb RENAME TO registry_known_xorb")
    before = set(MigrationRecorder(connection).applied_migrations())
    with pytest.raises(CommandError, match=r"registry_knownxorb.*Nothing was changed.*push the adapters again"):
        call_command("migrate", verbosity=0)
    assert set(MigrationRecorder(connection).applied_migrations()) == before


@pytest.mark.django_db(transaction=True)
def test_readyz_says_why(monkeypatch):
    monkeypatch.setattr(schema, "migrations_of_code", lambda: frozenset({"0001_initial", "0002_later"}))
    monkeypatch.setattr(health._latest, "_at", float("-inf"))
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert json.loads(answer.content)["parts"]["database"] == {"ok": False, "reason": schema.OLDER}
    monkeypatch.setattr(health._latest, "_at", float("-inf"))
