"""A wrong command line gives one helpful sentence for people and an exit status for programs."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from dovetail import cli
from tests.client.conftest import documented
from tests.live import ROOT

HUB = "http://127.0.0.1:9"  # the discard port: nobody answers


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["pus", "x", "a/b"], 2, "Did you mean `dovetail push`?"),
        (["frobnicate"], 2, "Commands: "),
        (["push"], 2, "Missing argument 'PATH'.\n  Write: dovetail push [OPTIONS] PATH NS/NAME"),
        (["push", "."], 2, "Missing argument 'NS/NAME'."),
        (["push", ".", "a/b", "c"], 2, "Got unexpected extra argument(s) (c)."),
        (["pull", "a/b", "--two", "x"], 2, "No such option: --two"),
        (["push", "nowhere", "a/b", "--endpoint", HUB], 2, "nowhere does not exist.\n  Name the folder"),
        (
            ["push", "a/b", "empty", "--endpoint", HUB],
            2,
            "a/b is not a folder, but empty is.\n  Write: dovetail push empty a/b",
        ),
        (["push", "file", "a/b", "--endpoint", HUB], 2, "file is a file."),
        (["push", "empty", "a/b", "--endpoint", HUB], 2, "empty is empty: there is nothing to push."),
        (["push", ".", "ab", "--endpoint", HUB], 2, "'ab' is not an adapter's id.\n  Write it as NAMESPACE/NAME"),
        (["pull", "a/b/c", "--endpoint", HUB], 2, "'a/b/c' is not an adapter's id."),
        (["pull", "../x", "--endpoint", HUB], 2, "'../x' is not an adapter's id."),
        (["pull", "a/b", "--endpoint"], 2, "--endpoint needs a value."),
        (["check", "nowhere"], 2, "nowhere does not exist."),
        (["check", "empty"], 2, "empty contains no files."),
        (["pull", "a/b"], 2, "No hub is named.\n  Give --endpoint"),
        (["pull", "a/b", "--endpoint", "hub.example.org"], 2, "Write it with its scheme"),
        (["pull", "a/b", "--endpoint", "ftp://x"], 2, "is not the address of a hub"),
        (["pull", "a/b", "--endpoint", HUB], 5, f"{HUB} does not answer: Connection refused.\n  Check the address"),
        (["whoami", "--endpoint", HUB], 5, f"{HUB} does not answer"),
        (["push", "empty", "a/b", "--endpoint", HUB, "--include", "*"], 2, "leave no file"),
        (["login", "--endpoint", HUB], 2, "No token was given."),
    ],
)
def test_a_wrong_command_is_told_in_two_lines(here, tmp_path, arguments, status, says):
    (tmp_path / "work" / "empty").mkdir()
    (tmp_path / "work" / "file").touch()
    done = here(*arguments)
    assert done.returncode == status
    assert says in done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") <= 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["--json", "pull", "a/b"], ["pull", "--json", "a/b"], ["pull", "a/b", "--json"]])
def test_json_works_before_and_after_the_command_and_for_refusals(here, arguments):
    done = here(*arguments, "--endpoint=" + HUB)
    assert json.loads(done.stdout)["code"] == "client-unreachable"
    assert (done.returncode, done.stderr) == (5, "")


def test_every_command_explains_itself(here):
    shown = here("--help")
    assert shown.returncode == 0
    for command in ("login", "push", "alias", "pr"):
        assert command in shown.stdout
        explained = here(command, "-h")
        assert explained.returncode == 0
        assert "--help" in explained.stdout
        assert "<bool>" not in shown.stdout + explained.stdout
        assert here("help", command).stdout.split() == explained.stdout.split()
    assert here().returncode == 2, "nothing asked is nothing done"
    assert "Usage" in here().stdout


def test_every_command_has_its_heading():
    headings = re.findall(r"^### `dovetail (\w+)", (ROOT / "client" / "README.md").read_text(), re.MULTILINE)
    commands = [command.name for command in cli.app.registered_commands]
    assert headings == [*commands, *(group.name for group in cli.app.registered_groups)], "in the order of the help"


def test_not_signed_in_is_said_by_the_hub_and_not_before_it_answered(dovetail, live_hub):
    done = dovetail("whoami", hub=live_hub)
    assert done.returncode == 3
    assert done.stderr == f"dovetail: You are not signed in at {live_hub.url}.\n  Run `dovetail login`.\n"


def test_every_command_has_its_document_in_the_readme():
    words: set[str] = set()
    for name, command in typer.main.get_group(cli.app).commands.items():
        words |= {f"{name} {deed}" for deed in command.commands} if hasattr(command, "commands") else {name}
    rows = {name.partition(" --")[0] for name in documented()}
    assert rows - {""} == words - {"help", "mcp"}, "mcp answers in its own protocol"


def test_the_version_is_that_of_the_distribution(dovetail):
    stated = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())["project"]["version"]
    assert dovetail("--version").stdout == dovetail("version").stdout == f"dovetail {stated}\n"
    assert json.loads(dovetail("version", "--json").stdout)["version"] == stated


def test_the_distribution_has_the_license_of_the_project():
    project = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())["project"]
    [name] = project["license-files"]
    assert (ROOT / "client" / name).read_text() == (ROOT / "LICENSE").read_text()
    lowest = project["requires-python"].removeprefix(">=")
    versions = [row.rpartition(" ")[2] for row in project["classifiers"] if "Python :: 3." in row]
    assert versions[0] == lowest


def test_no_command_but_push_pays_for_huggingface_hub():
    script = "import sys, dovetail.cli; print('huggingface_hub' in sys.modules, 'yaml' in sys.modules)"
    environment = {"PYTHONPATH": str(ROOT / "client" / "src")}
    shown = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]


def test_adapter_files_are_known_without_the_clients_network_code():
    script = "import sys, dovetail.adapters; print('dovetail.api.client' in sys.modules, 'rich' in sys.modules)"
    environment = {"PYTHONPATH": str(ROOT / "client" / "src")}
    shown = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]


def test_an_at_without_a_revision_behind_it_is_no_other_way_to_say_main(here):
    for command in ("pull", "verdict"):
        done = here(command, "alice/reviews@", hub=HUB)
        assert done.returncode == 2
        assert "'alice/reviews@' names no revision" in done.stderr
        assert "alice/reviews@verified" in done.stderr


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_reader_who_leaves_early_changes_neither_the_status_nor_what_is_complained_of(folder: Path, more):
    command = [sys.executable, "-m", "dovetail", "check", folder, *more]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "client" / "src"), "PYTHONUNBUFFERED": "1"}
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, env=environment, text=True, check=False)
    os.close(writes)
    assert done.returncode == 0, "1 would be a verdict of no"
    assert "Pipe" not in done.stderr


def test_a_terminal_without_blocks_gets_letters(dovetail, folder: Path):
    done = dovetail("check", folder, PYTHONUTF8="0", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0
    assert "[file ok] [config ok] [tensors ok]" in done.stdout
    assert "ok" in done.stdout.splitlines()[0]
