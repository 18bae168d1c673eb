"""An engine that dies, hangs or lies costs its own job and nothing else, and leaves nothing behind."""

import os
import sys
import time
from pathlib import Path

import pytest

from dovetail.adapters.results.report import CheckResult, Report
from tests.sweep import sweep
from workers.engine.job import Job
from workers.engines import sandbox
from workers.engines.keeper import environment
from workers.engines.sandbox import GRACE_SECONDS, Engine, EngineDied, EngineHung, EngineLied, EngineMissing, EngineSlow
from workers.engines.warm_engines import Engines

FAKE = Path(__file__).parent / "fake_engine.py"


def start(mode: str) -> Engine:
    return Engine([sys.executable, "-I", str(FAKE), mode])


HALF_A_SECOND = 0.5 - GRACE_SECONDS  # by the clock, of which the engine has the grace beyond


def run(engine: Engine, wall: float = 100) -> tuple[Report, list[CheckResult]]:
    """Run a job; return the verdict, and the checks as they came."""
    seen: list = []
    return engine.run(Job(id="1", folder=Path("/nonexistent"), wall_seconds=wall), on_check=seen.append), seen


def survivors(engine: Engine) -> list[str]:
    """Return the processes of the engine's group that stay although it was killed."""
    deadline = time.monotonic() + 180
    while (found := group_of(engine)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def group_of(engine: Engine) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == engine.pid and fields[0] not in "ZX":
            found.append(stat.parent.name)
    return found


def test_a_verdict_arrives_check_by_check():
    with start("fails") as engine:
        found, seen = run(engine)
    assert [check.id for check in seen] == ["file.header", "tensors.not-finite"]
    assert found.state == "failed"
    assert list(found.checks) == seen
    assert found.checks[1].fix == "Train again."


def test_an_engine_takes_job_after_job():
    with start("passes") as engine:
        assert [run(engine)[0].state for _ in range(3)] == ["passed"] * 3
        assert engine.is_alive


@sweep(
    "mode, fault, words",
    [
        ("claims to pass", EngineLied, "state passed"),
        ("passes unchecked", EngineLied, "0 checks"),
        ("answers another job", EngineLied, "while job 1 ran"),
        ("floods", EngineLied, "while job 1 ran"),
        ("never ends a line", EngineLied, "flooded"),
        ("says NaN", EngineLied, "not JSON"),
        ("nests", EngineLied, "not JSON"),
        ("dies", EngineDied, "SIGKILL. Its last words: out of cheese"),
        ("ends at once", EngineDied, "status 1. Its last words: no such base"),
        ("hangs", EngineHung, "no answer"),
        ("mutters", EngineHung, "no answer in time. Its last words: still here"),
        ("forks and hangs", EngineHung, "no answer"),
        ("leaks", EngineLied, "does not hold"),
    ],
)
def test_a_bad_engine_is_blamed_and_nothing_of_it_is_left(mode, fault, words):
    engine = start(mode)
    with pytest.raises(fault, match=words):
        run(engine, HALF_A_SECOND if fault is EngineHung else 100)
    assert not engine.is_alive
    assert survivors(engine) == []
    assert not engine.home.exists()


def test_an_engine_whose_start_stands_still_is_given_up(monkeypatch):
    monkeypatch.setattr(sandbox, "START_IDLE_SECONDS", 0.3)
    engine = start("never ready")
    with pytest.raises(EngineHung):
        engine.wait_until_ready()
    assert survivors(engine) == []


def test_an_engine_that_a_busy_machine_is_slow_to_start_goes_on_with_it(monkeypatch):
    monkeypatch.setattr(sandbox, "START_IDLE_SECONDS", 30)
    with start("ready after work") as engine:
        with pytest.raises(EngineSlow, match="still starting"):
            engine.wait_until_ready(seconds=0.2)
        assert engine.is_alive
        assert run(engine)[0].state == "passed"


def test_an_engine_that_works_at_its_start_for_ever_is_given_up(monkeypatch):
    monkeypatch.setattr(sandbox, "START_CPU_SECONDS", 0.5)
    engine = start("never ends its start")
    with pytest.raises(EngineHung):
        engine.wait_until_ready()
    assert survivors(engine) == []


def test_a_missing_interpreter_is_a_sentence_with_the_fix():
    with pytest.raises(EngineMissing, match="make engine"):
        Engine.serve("/nonexistent/python", "", "")


def test_an_exception_of_the_listener_ends_the_job():
    def listener(check):
        raise KeyError("stop")

    engine = start("passes")
    with pytest.raises(KeyError):
        engine.run(Job(id="1", folder=Path("/")), on_check=listener)
    assert not engine.is_alive


def test_an_engine_sees_nothing_of_ours(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    monkeypatch.setenv("DOVETAIL_SECRET_KEY", "very secret")
    kept_open = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(kept_open, True)
    with start("shows its environment") as engine:
        (check,) = run(engine)[0].checks
        seen = check.where
        assert set(seen["environ"]) - {"LC_CTYPE"} == set(environment(engine.home))
        assert seen["environ"]["HF_HUB_OFFLINE"] == "1"
        assert seen["environ"]["HOME"] == str(engine.home)
        assert seen["cwd"] == []
        assert seen["fds"] == 4  # the three standard ones, and the listing itself
        assert seen["sid"] == engine.pid
    os.close(kept_open)


def test_the_least_recently_used_engine_makes_room(tmp_path):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -I {FAKE} passes\n")
    python.chmod(0o755)
    engines, started = Engines(budget=1), []  # in bytes: there is room for none, and what is needed starts all the same
    first, second = ((("e5", f"a/{n}"), (str(python), f"/base/{n}", f"a/{n}")) for n in "12")
    try:
        one = engines.get(*first, before=lambda: started.append(1))
        assert engines.get(*first, before=lambda: started.append(2)) is one
        two = engines.get(*second)
        assert (one.is_alive, two.is_alive) == (False, True)
        run(two)
        assert engines.get(*first, before=lambda: started.append(3)) is not one
        assert started == [1, 3]
    finally:
        engines.stop()
    assert not two.is_alive


def test_an_engine_that_nobody_used_for_a_while_gets_no_other_job(tmp_path, settings):
    settings.ENGINE_IDLE_SECONDS = 2
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -I {FAKE} passes\n")
    python.chmod(0o755)
    engines, label, arguments = Engines(1 << 30), ("e5", "a/b"), (str(python), "/base", "a/b")
    try:
        one = engines.get(label, arguments)
        run(one)
        assert engines.get(label, arguments) is one
        time.sleep(1.1)
        assert engines.labels == []
        two = engines.get(label, arguments)
        assert (one.is_alive, two.is_alive) == (False, True)
        assert engines.failed == []
        settings.ENGINE_IDLE_SECONDS = 0
        time.sleep(1.1)
        assert engines.get(label, arguments) is two
    finally:
        engines.stop()


def test_a_start_that_takes_longer_than_an_engine_is_kept_is_no_idleness(settings):
    settings.ENGINE_IDLE_SECONDS = 0.2
    with start("ready after work") as engine:
        engine._used -= 10  # as after a long start of a large base
        assert not engine.is_leaving
        engine.wait_until_ready()
        assert not engine.is_leaving
        time.sleep(0.25)
        assert engine.is_leaving


def test_an_engine_that_ends_by_itself_has_not_failed(tmp_path, settings):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    engines, label, arguments = Engines(1 << 30), ("vllm", ""), (str(python), "", "")
    engines.get(label, arguments)._session.wait(10)
    engines.get(label, arguments)
    assert engines.failed == []
    engines.stop()


def test_an_engine_that_dies_at_its_start_is_left_alone_for_a_while():
    engines, label = Engines(1 << 30), ("vllm", "")
    first = engines.get(label, ("/bin/false", "", ""))
    first._session.wait(10)
    assert engines.failed == []
    engines.get(label, ("/bin/false", "", ""))
    assert engines.failed == [label]
    engines.stop()
