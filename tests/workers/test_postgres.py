"""Races, the order of the queue, lists and the moves of tables again on PostgreSQL, where transactions can wait."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.night
@pytest.mark.postgres
def test_races_end_well_lists_are_right_and_tables_move_on_postgresql_too(postgres_server):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOVETAIL_", "PYTEST_"))}
    again = [
        ROOT / f"tests/{name}.py"
        for name in (
            "workers/test_races",
            "workers/test_order",
            "registry/test_migrations",
            "registry/test_races",
            "registry/test_relevance",
            "registry/test_several_facets",
            "registry/test_tallies",
            "registry/on_postgres",
            "upgrade/on_postgres",
        )
    ]
    for name in ("outbox", "races"):
        again += ROOT.glob(f"features/*/tests/test_{name}.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, again)],
        env=kept | {"DOVETAIL_DATABASE_URL": postgres_server},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout


@pytest.mark.postgres
def test_a_child_leaves_its_parents_connections_alone(postgres_server):
    environment = os.environ | {
        "DOVETAIL_DATABASE_URL": postgres_server,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'client/src'}",
    }
    command = [sys.executable, ROOT / "tests/workers/forking.py"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["child 42", "parent 42"], done.stdout + done.stderr
