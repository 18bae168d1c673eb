"""The races again on PostgreSQL, where two transactions really run at once and can wait for each other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.postgres
def test_the_races_end_well_on_postgresql_too(postgres_server):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOVETAIL_", "PYTEST_"))}
    races = Path(__file__).with_name("test_races.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(races)],
        env=kept | {"DOVETAIL_DATABASE_URL": postgres_server},
        cwd=races.parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
