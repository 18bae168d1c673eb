"""Races and the order of the queue again on PostgreSQL, where two transactions really run at once and can wait."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.postgres
def test_races_end_well_and_turns_are_kept_on_postgresql_too(postgres_server):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOVETAIL_", "PYTEST_"))}
    again = [Path(__file__).with_name(f"test_{name}.py") for name in ("races", "order")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, again)],
        env=kept | {"DOVETAIL_DATABASE_URL": postgres_server},
        cwd=again[0].parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
