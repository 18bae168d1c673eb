"""A worker that is started when rows wait ends by itself: not while one waits or runs, nor while nobody can say."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from types import SimpleNamespace

import pytest
from django.db import OperationalError

from registry.models import Attempt
from registry.proof.verdicts import jobs, queue
from registry.proof.verdicts.queue import Capabilities
from registry.sql import schema
from tests.workers.conftest import BASE
from workers import lifecycle
from workers.engine import work_folders
from workers.engines import capabilities


@pytest.fixture
def own_tmp(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def beats(own_tmp, monkeypatch, settings):
    """Let heartbeats follow each other fast, with what each finds to do; return the function that runs them."""
    settings.HEARTBEAT_SECONDS, settings.WORKER_IDLE_SECONDS = 0.05, 0.3
    monkeypatch.setattr(lifecycle, "_worker", SimpleNamespace(hostname="w@host", concurrency=1))
    monkeypatch.setattr(lifecycle, "_stopping", threading.Event())
    monkeypatch.setattr(work_folders, "sweep", lambda: 0)
    monkeypatch.setattr(jobs, "sign_of_life", lambda *arguments: None)
    monkeypatch.setattr(capabilities, "offer", lambda *arguments: None)
    monkeypatch.setattr(capabilities, "unfit", lambda: "")

    def run(look, *, runs=lambda host: False, seconds: float = 1) -> float | None:
        """Return after how many seconds the worker sent itself the signal, None if it did not."""
        monkeypatch.setattr(lifecycle, "_look_for_work", look)
        monkeypatch.setattr(queue, "runs_on", runs)
        began, sent = time.monotonic(), []

        def kill(process: int, number: int) -> None:
            assert (process, number) == (os.getpid(), signal.SIGTERM)
            sent.append(time.monotonic() - began)
            lifecycle._stopping.set()

        monkeypatch.setattr(os, "kill", kill)
        timer = threading.Timer(seconds, lifecycle._stopping.set)
        timer.start()
        lifecycle._beat()
        timer.cancel()
        return sent[0] if sent else None

    return run


def test_a_worker_ends_after_it_had_nothing_to_do(beats, db):
    calls = iter(range(1000))
    ended = beats(lambda door: next(calls) < 4, seconds=20)
    assert ended is not None
    assert ended > 0.3, "the time counts from the last row on"


def test_a_worker_goes_on_while_a_row_waits_or_runs_or_nobody_can_say(beats, db, settings):
    def broken(door: str) -> bool:
        raise OperationalError("the database is away")

    assert beats(lambda door: True) is None
    lifecycle._stopping.clear()
    assert beats(lambda door: False, runs=lambda host: host == socket.gethostname()) is None
    lifecycle._stopping.clear()
    assert beats(broken) is None
    lifecycle._stopping.clear()
    settings.WORKER_IDLE_SECONDS = 0
    assert beats(lambda door: False) is None


def test_a_probe_sees_that_a_worker_goes_on_without_a_database_and_that_one_hangs(beats, db, own_tmp):
    def answer() -> int:
        alive = [sys.executable, "deploy/alive.py", "beating"]
        return subprocess.run(alive, env={"TMPDIR": str(own_tmp)}, check=False).returncode

    def broken(door: str) -> bool:
        raise OperationalError("the database is away")

    assert answer() == 1
    beats(broken)
    assert answer() == 0
    [sign] = own_tmp.iterdir()
    os.utime(sign, (time.time(), time.time() - 601))
    assert answer() == 1
    sign.rmdir()
    sign.write_text("what is in the way")
    lifecycle._stopping.clear()
    assert beats(broken, seconds=0.3) is None, "the beats go on"


def test_a_validation_of_this_host_is_one_that_runs(base, pushed):
    host, _ = socket.gethostname(), pushed()
    claim = jobs.claim_next(f"{host}:1", Capabilities(frozenset({BASE})))
    assert claim is not None
    assert queue.runs_on(host)
    assert not queue.runs_on(f"{host}-2")
    Attempt.objects.update(ended_at="2026-01-01T00:00Z")
    assert not queue.runs_on(host)


def test_a_child_inherits_no_connection_of_a_pool(monkeypatch):
    closed = []
    fake = SimpleNamespace(close=lambda: closed.append("mine"), close_pool=lambda: closed.append("the pool's"))
    monkeypatch.setattr(lifecycle, "connection", fake)
    lifecycle._disconnect()
    assert closed == ["mine", "the pool's"]


def test_a_worker_or_a_clock_waits_for_tables_that_are_older_than_its_code(db, own_tmp, monkeypatch, caplog):
    problems: list[str | Exception] = [schema.OLDER, schema.OLDER, OperationalError("no such table"), ""]

    def mismatch() -> str:
        if isinstance(problem := problems.pop(0), Exception):
            raise problem
        return problem

    slept: list[float] = []
    monkeypatch.setattr(schema, "mismatch", mismatch)
    monkeypatch.setattr("workers.lifecycle.time.sleep", slept.append)
    monkeypatch.setattr(lifecycle, "_disconnect", lambda: None)
    with caplog.at_level("INFO"):
        lifecycle.wait_for_tables()
    assert len(slept) == 3
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO"]
    assert "older than this code: run `manage.py migrate`" in caplog.messages[0]
