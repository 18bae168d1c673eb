"""Who escapes from a jail, into the process that started it, finds nothing of the hub there."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.engine import jail
from workers.engines import sessions
from workers.engines.sandbox import Engine

ROOT = Path(jail.__file__).parents[2]
ESCAPED = Path(__file__).parent / "escaped.py"
MAY_FAIL_ANYWHERE = {"trace", "memory", "memory by a call", "namespace", "io_uring", "password file", "own descriptors"}


@pytest.fixture
def targets(tmp_path, monkeypatch) -> Iterator[dict[str, Any]]:
    """What a worker of a small hub lies beside: a data folder, its settings, a database server and a broker."""
    data, code, scratch = tmp_path / "data", tmp_path / "code", tmp_path / "scratch"
    for folder in (data / "blobs", code, scratch):
        folder.mkdir(parents=True)
    for name in ("secret_key", "db.sqlite3", "blobs/one"):
        (data / name).write_bytes(b"a secret of the hub")
    (tmp_path / ".env").write_text("DOVETAIL_DATABASE_URL=postgres://")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as broker:
        monkeypatch.chdir(data)
        broker.bind("broker.sock")
        broker.listen(1)
        yield {
            "worker": os.getpid(),
            "data": str(data),
            "code": str(code),
            "settings": str(tmp_path / ".env"),
            "tcp": server.getsockname()[1],
        }


@pytest.fixture
def place(targets, monkeypatch) -> Iterator[sessions.Place]:
    """The keeper of a worker whose engines read the tests, and no temporary folder but its own."""
    mine = sessions.Place()
    mine.also = (ROOT / "tests", Path(sys.prefix))
    monkeypatch.setattr(sessions, "PLACE", mine)
    yield mine
    mine.leave()


def test_the_process_that_starts_jails_reaches_nothing_of_the_hub(place, targets):
    with Engine([sys.executable, "-I", str(ESCAPED), json.dumps(targets)]) as engine:
        assert engine.wait_until_ready()["found"] == []


def test_a_program_that_converts_reaches_nothing_either(place, targets, tmp_path):
    with (tmp_path / "said").open("w+b") as said:
        command = [sys.executable, "-I", str(ESCAPED), json.dumps(targets), "--free"]
        with sessions.program(command, tmp_path / "scratch", said) as program:
            assert program.wait(60) == sessions.WELL
        said.seek(0)
        assert set(json.load(said)) <= {"own descriptors"}  # the file that it writes to


def test_every_attempt_succeeds_from_a_process_that_is_not_confined(targets):
    """Else an attempt proves nothing by failing."""
    command = [sys.executable, "-I", str(ESCAPED), json.dumps(targets), "--free"]
    with socket.socket(socket.AF_UNIX) as inherited:
        found = subprocess.run(command, capture_output=True, text=True, check=True, pass_fds=[inherited.fileno()])
    everything = {
        *("own environment", "environment", "memory map", "descriptors", "root folder", "work folder", "signal"),
        *("secret key", "database", "list of data", "changed data", "blob", "settings", "changed code"),
        *("server", "broker"),
    }
    assert everything <= set(json.loads(found.stdout))


def test_a_worker_hides_its_environment_and_memory():
    code = """
import ctypes, sys
from workers.engine import jail
jail.hide()
sys.exit(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
