"""The parent's reaction to a child that lies, floods, hangs or dies; the child counts as hostile."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "stages.py"


def run(body):
    done = subprocess.run([sys.executable, "-I", str(SCRIPT), body], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_honest_child_is_heard_to_its_end():
    heard = run("honest")
    assert heard["frames"] == 1
    assert heard["ending"]["lied"] == ""
    assert (heard["ending"]["status"], heard["ending"]["signal"], heard["ending"]["hung"]) == (0, 0, False)


@pytest.mark.parametrize(
    "body", ["speaks_for_another", "says_a_state", "says_no_json", "says_nan", "floods", "never_ends_a_line"]
)
def test_a_child_that_lies_is_ended_and_not_believed(body):
    heard = run(body)
    assert heard["ending"]["lied"]
    assert heard["ending"]["signal"] in (0, 9)
    assert heard["took"] < 10


def test_a_child_that_hangs_is_killed_at_the_wall_limit():
    heard = run("sleeps")
    assert heard["frames"] == 1
    assert heard["ending"]["hung"]
    assert heard["took"] < 5


def test_a_child_that_spins_is_stopped():
    heard = run("spins")
    assert heard["ending"]["hung"] or heard["ending"]["signal"] == 24


@pytest.mark.parametrize("body", ["eats_memory", "raises", "forks", "reads_the_system"])
def test_a_child_that_raises_ends_with_a_status_and_says_nothing(body):
    heard = run(body)
    assert heard["frames"] == 0
    assert heard["ending"]["status"] != 0


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
