"""The supervisor: together up, in order down, nothing left; with real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ops.household import Household, Program
from ops.sentences import ROOT, Stop

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
def household(tmp_path: Path):
    running = Household(tmp_path, os.environ, ROOT)
    yield running
    running.stop()


def start(household: Household, name: str, code: str, **options: float) -> str:
    """Start a Python program and return the line with which it said that it is ready."""
    household.start(Program(name, [PYTHON, "-c", code], **options))
    deadline = time.monotonic() + 10
    while "ready" not in (text := household.log_of(name).read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return text


def ended(process: psutil.Process) -> None:
    """Wait until a process that is not ours has ended; who has no parent left may stay as a zombie."""
    deadline = time.monotonic() + 5
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"{process} goes on running"
        time.sleep(0.02)


def left_at(household: Household, name: str) -> float:
    return float(household.log_of(name).read_text().split()[-1])


def test_the_last_program_ends_before_the_first_is_told_to(household: Household) -> None:
    start(household, "broker", POLITE)
    start(household, "worker", POLITE)
    household.stop()
    assert left_at(household, "worker") + 0.2 <= left_at(household, "broker")


def test_a_program_that_ends_by_itself_is_named_with_its_log(household: Household) -> None:
    start(household, "broker", POLITE)
    household.start(Program("web", [PYTHON, "-c", "import sys; print('the port is gone'); sys.exit(3)"]))
    with pytest.raises(Stop, match=r"(?s)The web ended with status 3.*its log is .*web\.log.*the port is gone"):
        household.wait()


def test_a_program_that_is_killed_is_named_with_the_signal(household: Household) -> None:
    os.kill(int(start(household, "web", DEAF).split()[-1]), signal.SIGKILL)
    with pytest.raises(Stop, match="The web was killed by SIGKILL"):
        household.wait()


def test_a_program_that_ignores_sigterm_is_ended_after_its_grace(household: Household) -> None:
    child = psutil.Process(int(start(household, "web", DEAF, grace=0.2).split()[-1]))
    household.stop()
    assert not child.is_running()


def test_children_that_a_program_leaves_behind_end_with_it(household: Household) -> None:
    child = psutil.Process(int(start(household, "worker", WITH_CHILD).split()[-1]))
    household.stop()
    ended(child)


def test_programs_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, time; from ops.household import *; "
        f"h = Household(pathlib.Path({str(tmp_path)!r}), os.environ, pathlib.Path('.')); "
        "h.start(Program('web', ['sleep', '600'])); print(h._running[0][1].pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([PYTHON, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        orphan = psutil.Process(int(supervisor.stdout.readline()))
        supervisor.send_signal(signal.SIGKILL)
    ended(orphan)


def test_a_signal_that_comes_twice_at_once_is_one_wish_and_one_that_comes_later_another() -> None:
    code = (
        "import time; from ops.household import *; listen_for_stop()\n"
        "for word in ('ready', 'again'):\n"
        "    try: print(word, flush=True); time.sleep(60)\n"
        "    except StopAsked as asked: print(asked, flush=True); time.sleep(0.3)"
    )
    with subprocess.Popen([PYTHON, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        supervisor.stdout.readline()
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.stdout.readline() == "SIGTERM\n"
        supervisor.send_signal(signal.SIGTERM)  # from make as well
        time.sleep(1.2)
        assert supervisor.stdout.readline() == "again\n"
        supervisor.send_signal(signal.SIGINT)
        assert supervisor.stdout.readline() == "SIGINT\n"


def test_a_log_that_has_grown_large_is_set_aside(household: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.household.LOG_BYTES", 10)
    household.log_of("web").write_text("a long story from last week\n")
    start(household, "web", POLITE)
    assert "last week" in household.log_of("web").with_suffix(".log.1").read_text()
    assert "last week" not in household.log_of("web").read_text()
