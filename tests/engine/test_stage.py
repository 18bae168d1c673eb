"""The parent's reaction to a child that lies, floods, hangs or dies; the child counts as hostile."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "stages.py"


def run(body, **limits):
    command = [sys.executable, "-I", str(SCRIPT), body, json.dumps(limits)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_honest_child_is_heard_to_its_end():
    heard = run("honest")
    assert heard["frames"] == 1
    assert heard["ending"]["lied"] == ""
    assert (heard["ending"]["status"], heard["ending"]["signal"], heard["ending"]["excess"]) == (0, 0, "")


@pytest.mark.parametrize(
    "body", ["speaks_for_another", "says_a_state", "says_no_json", "says_nan", "floods", "never_ends_a_line"]
)
def test_a_child_that_lies_is_ended_and_not_believed(body):
    heard = run(body)
    assert heard["ending"]["lied"]
    assert heard["ending"]["signal"] in (0, 9)
    assert heard["took"] < 10


def test_a_child_that_hangs_is_killed():
    heard = run("sleeps")
    assert heard["frames"] == 1
    assert (heard["ending"]["excess"], heard["ending"]["signal"]) == ("idle", 9)
    assert heard["ending"]["cpu_seconds"] < 0.5


def test_a_child_that_spins_is_stopped_at_its_processor_time():
    heard = run("spins", idle_seconds=50)
    assert heard["ending"]["excess"] == "cpu" or heard["ending"]["signal"] == 24
    assert heard["ending"]["cpu_seconds"] > 0.8


@pytest.fixture
def crowded():
    """Processes that want the processor on which this test runs; its children run there too."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    yield
    for other in others:
        other.kill()
        other.wait()
    os.sched_setaffinity(0, allowed)


@pytest.mark.merge
def test_a_child_that_a_busy_machine_keeps_waiting_is_not_ended(crowded):
    """It may work for 0.8 seconds, and do nothing for 0.2; here its work takes three times as long as it should."""
    heard = run("works", seconds=0.8, idle_seconds=0.2)
    assert (heard["frames"], heard["ending"]["excess"]) == (1, "")
    assert heard["took"] > 0.8, "it was not kept waiting"
    assert heard["ending"]["cpu_seconds"] < 0.8


def test_a_machine_that_is_too_busy_is_told_apart(crowded):
    assert run("works", wall_seconds=0.5)["ending"]["excess"] == "wall"


@pytest.mark.merge
def test_a_child_that_says_something_now_and_then_goes_on():
    heard = run("speaks_slowly")
    assert (heard["frames"], heard["ending"]["excess"]) == (5, "")


def test_a_child_that_was_stopped_for_longer_than_its_limit_goes_on():
    command = [sys.executable, "-I", str(SCRIPT), "is_stopped", '{"idle_seconds": 20, "seconds": 0.5}']
    with subprocess.Popen(command, stdout=subprocess.PIPE) as script:
        children = Path(f"/proc/{script.pid}/task/{script.pid}/children")
        deadline = time.monotonic() + 240
        while not (stopped := [pid for pid in children.read_text().split() if state_of(pid) == "T"]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(1)
        os.kill(int(stopped[0]), signal.SIGCONT)
        heard = json.loads(script.communicate(timeout=30)[0])
    assert (heard["frames"], heard["ending"]["excess"]) == (1, "")
    assert heard["took"] > 1


def state_of(pid):
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("eats_memory", "MemoryError"),
        ("raises", "ValueError: nobody catches this (stages.py:"),
        ("forks", "Error"),
        ("reads_the_system", "PermissionError"),
    ],
)
def test_a_child_that_raises_ends_with_a_status_and_says_only_what_and_where(body, said):
    heard = run(body)
    assert heard["frames"] == 1
    assert said in heard["crash"]
    assert f"in {body}, stage.py:" in heard["crash"]
    assert heard["ending"]["status"] != 0


def test_a_fault_of_ours_is_named_in_the_verdict_with_its_place():
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), "validation", "raises_in_a_validation"], capture_output=True, text=True
    )
    verdict = json.loads(done.stdout)
    (check,) = (check for check in verdict["checks"] if check["outcome"] == "failed")
    assert (verdict["state"], check["id"]) == ("errored", "engine.check-crashed")
    assert "ended with status 70: AttributeError: 'NoneType' object has no attribute 'config' (" in check["message"]
    assert "in raises_in_a_validation" in check["message"]


def test_a_child_that_crashes_is_told_apart():
    assert run("crashes")["ending"]["signal"] == 11


@pytest.mark.parametrize(("body", "state"), [("says_all", "passed"), ("says_nothing", "errored")])
def test_a_child_that_ends_well_before_it_was_asked_everything_has_proven_nothing(body, state):
    """A loader that calls exit(0) must not pass by its silence."""
    done = subprocess.run([sys.executable, "-I", str(SCRIPT), "validation", body], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == state


def test_a_child_that_says_it_has_no_jail_costs_its_own_job_only():
    """The parent attacks the jail itself before it believes that, and goes on when it holds."""
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), "validation", "says_it_has_no_jail"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "errored"
