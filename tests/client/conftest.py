"""The command line as people run it: a process of its own, with a home and a working folder of its own."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from dovetail import cli, places
from tests import live
from tests.adapters import MINILM, lora, write

Run = Callable[..., subprocess.CompletedProcess[str]]
Ask = Callable[..., dict[str, Any]]


def documented() -> dict[str, list[str]]:
    """Return command → members of its document, as docs/client-json.md lists them."""
    page = (live.ROOT / "docs/client-json.md").read_text()
    rows = re.findall(r"^\| (?:`([a-z -]+)`|every refusal) \| `(.+)` \|$", page, re.MULTILINE)
    return {command: members.split() for command, members in rows}


def require_documented(words: list[str], document: dict[str, Any]) -> None:
    """Assert that a document has the members that the page names for this command, and no others."""
    rows = documented()
    command = words[0]
    if command not in rows:
        command += f" {'list' if '/' in words[1] else words[1]}"
    command = next(
        (row for flag in ("--dry-run", "--check") if flag in words and (row := f"{command} {flag}") in rows), command
    )
    members = rows["" if "exit_status" in document else command]
    required = {member for member in members if member[-1] not in "?…"}
    assert required <= set(document), (command, document)
    if "…" not in members:
        assert set(document) <= {member.rstrip("?") for member in members}, (command, document)


@pytest.fixture
def dovetail(tmp_path: Path) -> Run:
    """Return a function that runs `dovetail` with arguments; `hub` and `who` become the usual variables."""
    (tmp_path / "work").mkdir(exist_ok=True)

    def run(
        *arguments: object, hub: live.Hub | str | None = None, who: str = "", stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        known = {name: value for name, value in os.environ.items() if not name.startswith(("DOVETAIL_", "HF_"))}
        known |= {"DOVETAIL_HOME": str(tmp_path / "home"), "HF_HOME": str(tmp_path / "hf"), "COLUMNS": "100"}
        known |= {"PYTHONPATH": str(live.ROOT / "client" / "src"), "PYTHONUTF8": "1"}
        if hub:
            known["DOVETAIL_ENDPOINT"] = hub if isinstance(hub, str) else hub.url
        if who:
            known["DOVETAIL_TOKEN"] = live.TOKENS[who]
        command = [sys.executable, "-m", "dovetail", *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=tmp_path / "work",
            env=known | environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the client in this process a home, a cache and a working folder of its own."""
    monkeypatch.setattr(cli, "settle_streams", lambda: None)  # pytest's streams accept everything
    monkeypatch.setattr(places, "_hf_token_file", lambda: tmp_path / "nothing")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setenv("DOVETAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOVETAIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("DOVETAIL_ENDPOINT", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    (tmp_path / "work").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def here(_at_home: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs `dovetail` as the fixture of that name does, in this process, which is much faster."""

    def run(
        *arguments: object, hub: live.Hub | str | None = None, who: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            if hub:
                patch.setenv("DOVETAIL_ENDPOINT", hub if isinstance(hub, str) else hub.url)
            patch.setenv("DOVETAIL_TOKEN", live.TOKENS[who] if who else "")
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as left:
                cli.main([*map(str, arguments)])
        assert isinstance(left.value.code, int)
        return subprocess.CompletedProcess(arguments, left.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def ask(_at_home: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Return a function that runs a command with --json in this process, and returns its answer.

    It asserts the exit status, that nothing else is printed, and that the document states its schema.
    """

    def run(*words: object, hub: live.Hub | str, who: str = "", status: int = 0) -> dict[str, Any]:
        with monkeypatch.context() as environment:
            environment.setenv("DOVETAIL_ENDPOINT", hub if isinstance(hub, str) else hub.url)
            environment.setenv("DOVETAIL_TOKEN", live.TOKENS[who] if who else "")
            with pytest.raises(SystemExit) as left:
                cli.main([*map(str, words), "--json"])
        shown = capsys.readouterr()
        assert (left.value.code, shown.err) == (status, ""), shown.out + shown.err
        document = json.loads(shown.out)
        assert document.pop("schema") == 1
        require_documented([str(word) for word in words], document)
        return dict(document)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a real LoRA on MiniLM, with one subfolder in it."""
    return write(lora(MINILM) | {"notes/read me.txt": "größer".encode()}, tmp_path / "reviews-lora")
