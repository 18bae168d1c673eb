"""The command line as people run it: a process of its own, with a home and a working folder of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import live
from tests.adapters import MINILM, lora, write

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def dovetail(tmp_path: Path) -> Run:
    """Return a function that runs `dovetail` with arguments; `hub` and `who` become the usual variables."""
    (tmp_path / "work").mkdir()

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
def folder(tmp_path: Path) -> Path:
    """A folder with a real LoRA on MiniLM, with one subfolder in it."""
    return write(lora(MINILM) | {"notes/read me.txt": "größer".encode()}, tmp_path / "reviews-lora")
