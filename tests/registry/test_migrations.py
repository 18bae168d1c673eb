"""The tables can be made from nothing and removed again, on both databases."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from registry.kernel.policy import NOBODY
from registry.models import Repository
from registry.repos.lists import tallies
from registry.repos.lists.catalog import Query


def migrate(target: list[tuple[str, str | None]]) -> None:
    MigrationExecutor(connection).migrate(target)


@pytest.fixture
def newest(transactional_db, monkeypatch):
    """The migrations that the code expects; the database is back at them after the test, whatever happened."""
    if connection.vendor == "postgresql":  # as for an empty database: tables in use do not go
        plain = type(connections[connection.alias])
        monkeypatch.setattr(connection, "SchemaEditorClass", plain.SchemaEditorClass)
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()
    yield leaves
    migrate(leaves)


@pytest.mark.merge
def test_all_tables_go_and_come_back_and_search_works_on_them(newest, cast):
    cast.repository("alice/first")
    migrate([("registry", None)])
    assert not [
        name for name in connection.introspection.table_names() if name.startswith(("registry_", "repository_"))
    ]
    migrate(newest)
    assert not Repository.objects.exists()
    assert tallies.count_matches(NOBODY, Query(q="first")) == 0


def test_a_database_of_an_earlier_state_is_refused(newest):
    column = Repository._meta.get_field("deprecated_at")  # in no trigger and no index, which would hold on to it
    with connection.schema_editor() as editor:
        editor.remove_field(Repository, column)
    try:
        with pytest.raises(CommandError, match=r"1 are missing \(\w+\.deprecated_at …\)"):
            call_command("migrate", verbosity=0)
    finally:
        with connection.schema_editor() as editor:
            editor.add_field(Repository, column)
    call_command("migrate", verbosity=0)
