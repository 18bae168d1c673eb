"""The checks of `make lint` are run by CI and by the hooks, with the tools of .venv."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from ops.sentences import ROOT

# Stands for make and for the interpreter: says what it was asked, and fails at what FAILS names.
STAND_IN = """#!/bin/sh
echo "$@" >> asked
[ "$1" = test ] && echo "7 passed, 0 failed, 0 skipped"
[ "$1" != "$FAILS" ]
"""


@pytest.mark.parametrize("fails", ["nothing", "services", "engines", "lint", "without", "test"])
def test_ci_is_red_where_one_part_is_and_ends_with_the_count(tmp_path: Path, fails: str) -> None:
    for name in (".ci/run", "bin/make", ".venv/bin/python"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text((ROOT / name).read_text() if name == ".ci/run" else STAND_IN)
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "FAILS": fails}
    done = subprocess.run([tmp_path / ".ci/run"], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (fails == "nothing"), done.stderr
    asked = {line.split()[0] for line in (tmp_path / "asked").read_text().splitlines()}
    if fails not in {"services", "engines"}:
        assert asked >= {"services", "lint", "engines", "test"}
        assert ("without" in asked) == (fails != "lint")
        assert done.stdout.splitlines()[-1] == "7 passed, 0 failed, 0 skipped"


def test_every_hook_runs_a_pinned_tool_that_make_lint_runs_too() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    for hook in repositories[0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].removesuffix(" --force-exclude") in recipe
