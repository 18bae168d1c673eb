"""The supervisor: together up, in order down, nothing left; with real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ops.sentences import ROOT, Stop
from ops.supervisor import Program, Supervisor
from tests.ops.processes import assert_gone

PYTHON = sys.executable
# Says when it ends, and takes a moment for it, as a worker does that hands its messages back.
POLITE = """
import signal, sys, time
def leave(*_):
    time.sleep(0.2)
    print("left at", time.monotonic(), flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
while True: time.sleep(0.05)
"""
DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", os.getpid(), flush=True)
time.sleep(600)
"""
WITH_CHILD = """
import subprocess, time
print("ready", subprocess.Popen(["sleep", "600"]).pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def supervisor(tmp_path: Path):
    running = Supervisor(tmp_path, os.environ, ROOT)
    yield running
    running.stop()


def start(supervisor: Supervisor, name: str, code: str, **options: float) -> str:
    """Start a Python program and return the line with which it said that it is ready."""
    supervisor.start(Program(name, [PYTHON, "-c", code], **options))
    deadline = time.monotonic() + 180
    while "ready" not in (text := supervisor.log_of(name).read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return text


def left_at(supervisor: Supervisor, name: str) -> float:
    return float(supervisor.log_of(name).read_text().split()[-1])


def test_the_last_program_ends_before_the_first_is_told_to(supervisor: Supervisor) -> None:
    start(supervisor, "broker", POLITE)
    start(supervisor, "worker", POLITE)
    supervisor.stop()
    assert left_at(supervisor, "worker") + 0.2 <= left_at(supervisor, "broker")


def test_a_program_that_ends_by_itself_is_named_with_its_log(supervisor: Supervisor) -> None:
    start(supervisor, "broker", POLITE)
    supervisor.start(Program("web", [PYTHON, "-c", "import sys; print('the port is gone'); sys.exit(3)"]))
    with pytest.raises(Stop, match=r"(?s)The web ended with status 3.*its log is .*web\.log.*the port is gone"):
        supervisor.wait()


def test_a_program_that_is_killed_is_named_with_the_signal(supervisor: Supervisor) -> None:
    os.kill(int(start(supervisor, "web", DEAF).split()[-1]), signal.SIGKILL)
    with pytest.raises(Stop, match="The web was killed by SIGKILL"):
        supervisor.wait()


def test_a_program_that_ignores_sigterm_is_ended_after_its_grace(supervisor: Supervisor) -> None:
    child = psutil.Process(int(start(supervisor, "web", DEAF, grace=0.2).split()[-1]))
    supervisor.stop()
    assert not child.is_running()


def test_children_that_a_program_leaves_behind_end_with_it(supervisor: Supervisor) -> None:
    child = psutil.Process(int(start(supervisor, "worker", WITH_CHILD).split()[-1]))
    supervisor.stop()
    assert_gone([child])


def test_programs_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, time; from ops.supervisor import *; "
        f"h = Supervisor(pathlib.Path({str(tmp_path)!r}), os.environ, pathlib.Path('.')); "
        "h.start(Program('web', ['sleep', '600'])); print(h._running[0][1].pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([PYTHON, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        orphan = psutil.Process(int(supervisor.stdout.readline()))
        supervisor.send_signal(signal.SIGKILL)
    assert_gone([orphan])


@pytest.mark.parametrize(("same_signal_seconds", "requests"), [(3600, 1), (0, 2)])
def test_a_signal_that_comes_twice_at_once_is_one_request_and_one_that_comes_later_another(
    same_signal_seconds: int, requests: int
) -> None:
    code = (
        "import signal; from ops import supervisor; supervisor.listen_for_stop()\n"
        f"supervisor.SAME_SIGNAL, requests = {same_signal_seconds}, 0\n"
        "for _ in range(2):\n"
        "    try: signal.raise_signal(signal.SIGTERM)\n"
        "    except supervisor.StopAsked: requests += 1\n"
        "print(requests)"
    )
    assert subprocess.run([PYTHON, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == f"{requests}\n"


def test_a_log_that_has_grown_large_is_set_aside(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.supervisor.LOG_BYTES", 10)
    supervisor.log_of("web").write_text("a long story from last week\n")
    start(supervisor, "web", POLITE)
    assert "last week" in supervisor.log_of("web").with_suffix(".log.1").read_text()
    assert "last week" not in supervisor.log_of("web").read_text()
