"""Folders that one process of a test run makes for all of them: states of hubs, tiny bases, trained adapters."""

import atexit
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MAKERS = ROOT / "tests" / "engine"
# pytest's processes inherit the variable from the first one.
if "TESTS_MADE" not in os.environ:
    os.environ["TESTS_MADE"] = tempfile.mkdtemp(prefix="tests-made-")
    atexit.register(shutil.rmtree, os.environ["TESTS_MADE"], ignore_errors=True)
MADE = Path(os.environ["TESTS_MADE"])


def made(name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder of this name; the first process of the run that needs it makes it, and the others wait.

    Nobody may change it: who wants to takes a copy. `make` gets the empty folder.
    """
    folder = MADE / name
    MADE.mkdir(exist_ok=True)
    with (MADE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (MADE / f"{name}.made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (MADE / f"{name}.made").touch()
    return folder


def tiny_bases(python: Path) -> Path:
    """Return the folder with the bases of tests/engine/make_bases.py, which the interpreter of engine e5 writes."""
    return made("bases", lambda folder: _run(python, MAKERS / "make_bases.py", folder))


def trained(python: Path, bases: Path) -> Path:
    """Return the folder with the adapters of tests/engine/make_library.py, which the interpreter of e4 trains."""
    return made("library", lambda folder: _run(python, MAKERS / "make_library.py", bases / "bert", folder))


def measured(python: Path, bases: Path) -> dict[str, Any]:
    """Return the shapes that engine e5 measures of `bert` and `llama`, as workers remember them of each base."""
    return shapes("shapes", python, {name: bases / name for name in ("bert", "llama")})


def shapes(made_as: str, python: Path, folders: Mapping[str, Path]) -> dict[str, Any]:
    """Return what engine e5 says of the model in each folder; the first process of the run that asks measures them."""
    script = ROOT / "workers" / "engine" / "shapes.py"
    lines = made(made_as, lambda folder: (folder / "lines").write_bytes(_run(python, script, *folders.values())))
    return dict(zip(folders, map(json.loads, (lines / "lines").read_bytes().splitlines()), strict=True))


def _run(python: Path, script: Path, *folders: Path) -> bytes:
    return subprocess.run([python, "-I", script, *folders], check=True, capture_output=True, cwd="/").stdout
