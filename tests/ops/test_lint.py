"""The checks of `make lint` are run by CI and by the hooks, with the tools of .venv."""

import yaml

from ops.sentences import ROOT


def test_ci_lints_before_it_tests() -> None:
    commands = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line.startswith("make ")]
    assert commands == [
        "make services",
        "make engines & # downloads and unpacks while the other core checks types",
        "make lint",
        "make test",
    ]


def test_every_hook_runs_a_pinned_tool_that_make_lint_runs_too() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    for hook in repositories[0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].removesuffix(" --force-exclude") in recipe
