"""The servers that tests run start wherever the checkout lies."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.services import bundled_postgres, free_ports, postgres_cluster


@pytest.mark.merge
def test_postgresql_starts_below_a_folder_that_other_accounts_may_not_enter(tmp_path: Path) -> None:
    package, closed = bundled_postgres().parents[1], tmp_path / "closed"
    for source in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, closed / source.name, symlinks=True)
    closed.chmod(0o700)
    programs = closed / package.name / "pginstall/bin"
    [port] = free_ports()
    with postgres_cluster(programs, "dovetail", ["-A", "trust"], ["-c", "fsync=off"], port) as client:
        ask = [*client("psql"), "-d", "postgres", "-Atc", "SELECT 6 * 7"]
        assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout == "42\n"
