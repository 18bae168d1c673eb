"""Every migration after the first one is safe beside a hub that goes on working; what is not is named."""

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from hub.about import NEWEST_MIGRATION_THERE
from registry.sql import schema
from registry.sql.schema import InBatches
from tests.sweep import sweep
from tests.upgrade.rules import Rules


def in_order(loader: MigrationLoader) -> list[migrations.Migration]:
    [leaf] = loader.graph.leaf_nodes(schema.APP)
    return [loader.graph.nodes[key] for key in loader.graph.forwards_plan(leaf) if key[0] == schema.APP]


def judge(*operations: object, released: tuple = (), newest_released: str = "0002_before") -> list[str]:
    """Return the problems of a migration after one that makes a table, and after one of the release before."""
    state, rules = ProjectState(), Rules(newest_released)
    table = migrations.CreateModel(
        "Thing",
        [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.CharField(max_length=20)),
            ("note", models.TextField(default="", db_default="")),
        ],
    )
    found = []
    for name, steps in (("0001_initial", [table]), ("0002_before", released), ("0003_now", operations)):
        migration = migrations.Migration(name, "registry")
        migration.operations = list(steps)
        found += rules.problems(migration, state)
    return found


def test_our_migrations_keep_to_them() -> None:
    loader, state, rules = MigrationLoader(None), ProjectState(), Rules(NEWEST_MIGRATION_THERE)
    for key in loader.graph.forwards_plan((schema.APP, "0001_initial")):
        if key[0] != schema.APP:
            state = loader.graph.nodes[key].mutate_state(state)
    ours = in_order(loader)
    assert ours
    assert [problem for migration in ours for problem in rules.problems(migration, state)] == []


def test_names_follow_the_order_and_the_recorded_one_exists() -> None:
    names = [migration.name for migration in in_order(MigrationLoader(None))]
    assert names == sorted(names)
    assert NEWEST_MIGRATION_THERE in names


def change(rows: models.QuerySet) -> None:
    rows.update(note="")


GIVE_UP = migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("thing", "note")])
DROP = migrations.RunSQL("ALTER TABLE registry_thing DROP COLUMN note")


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("thing", "size", models.IntegerField(null=True)),
        migrations.AddField("thing", "size", models.IntegerField(default=0, db_default=0)),
        migrations.AlterField("thing", "name", models.CharField(max_length=40, help_text="longer")),
        migrations.AlterField("thing", "name", models.CharField(max_length=20, null=True)),
        migrations.AddIndex("thing", models.Index(fields=["name"], name="thing_by_name")),
        migrations.AddConstraint("thing", models.UniqueConstraint(fields=["name"], name="thing_unique")),
        migrations.RunPython(InBatches("Thing", change), migrations.RunPython.noop, atomic=False),
        GIVE_UP,
    ],
)
def test_safe(operation: object) -> None:
    assert judge(operation) == []


@sweep(
    "operation, way",
    [
        (migrations.AddField("thing", "size", models.IntegerField()), "null or db_default"),
        (migrations.AddField("thing", "size", models.IntegerField(default=0)), "null or db_default"),
        (migrations.AlterField("thing", "name", models.TextField()), "type"),
        (migrations.AlterField("thing", "name", models.CharField(max_length=10)), "max_length"),
        (migrations.AlterField("thing", "name", models.CharField(max_length=20, unique=True)), "unique"),
        (migrations.RemoveField("thing", "note"), "two steps"),
        (migrations.RenameField("thing", "note", "remark"), "two steps"),
        (migrations.DeleteModel("Thing"), "two steps"),
        (migrations.RunPython(lambda apps, editor: None), "InBatches"),
        (migrations.RunPython(InBatches("Thing", change)), "atomic=False"),
        (DROP, "still uses it"),
        (migrations.RunSQL("UPDATE registry_thing SET note = ''"), "nothing else"),
        (migrations.AlterUniqueTogether("thing", {("name", "note")}), "not known"),
        (
            migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("thing", "name")]),
            "first null or db_default",
        ),
        (
            migrations.SeparateDatabaseAndState(database_operations=[migrations.RemoveField("thing", "note")]),
            "two steps",
        ),
    ],
)
def test_unsafe(operation: object, way: str) -> None:
    [problem] = judge(operation)
    assert problem.startswith("0003_now: ")
    assert way in problem


def test_a_column_is_dropped_in_the_release_after_the_one_that_gave_it_up() -> None:
    assert judge(DROP, released=(GIVE_UP,)) == []
    [problem] = judge(DROP, released=(GIVE_UP,), newest_released="0001_initial")
    assert "still uses it" in problem
