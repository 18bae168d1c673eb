"""The scenarios: what is broken, and when. Each is a function of the running load; it ends with everything whole."""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.chaos import faults
from tests.chaos.load import Load
from tests.chaos.restoring import restored
from tests.chaos.steps import NAMES

CUT_SECONDS = 25
DOWN_SECONDS = 1  # between a kill and the restart by Docker or systemd
STEP_SECONDS = 40  # until a step has begun
BACK_SECONDS = 60  # until pushes are acknowledged again


@dataclass(frozen=True)
class Scenario:
    """A name, what is done, and the function that does it during a load."""

    name: str
    what: str
    run: Callable[[Load, list[str]], None]


def _in_the_middle(load: Load, step: str) -> None:
    """Wait until a step has begun, and then for a part of its usual time."""
    if not load.steps.await_next(step, STEP_SECONDS):
        load.problems[f"the step {step} did not begin"] += 1
    load.wait(random.uniform(0, load.steps.typical_seconds(step)))


def _at_each_step(break_: Callable[[Load], None]) -> Callable[[Load, list[str]], None]:
    def run(load: Load, steps: list[str]) -> None:
        for step in steps:
            _in_the_middle(load, step)
            break_(load)
            if not load.wait_for_push(BACK_SECONDS):
                load.problems[f"no push within {BACK_SECONDS} s after {step}"] += 1

    return run


def _kill(name: str, load: Load) -> None:
    faults.kill(load.deployment, name)
    load.wait(DOWN_SECONDS)
    load.deployment.start(name)


def _kill_web(load: Load) -> None:
    _kill(f"web-{load.deployment.webs[0]}", load)


def _kill_parent(name: str, load: Load) -> None:
    faults.kill_parent(load.deployment, name)
    load.wait(DOWN_SECONDS)
    load.deployment.start(name)


def _kill_web_child(load: Load) -> None:
    faults.kill_one_below(load.deployment, f"web-{load.deployment.webs[0]}", engine=False)


def _kill_worker_child(load: Load) -> None:
    faults.kill_one_below(load.deployment, "worker-0", engine=False)


def _kill_engine(load: Load) -> None:
    if not faults.kill_one_below(load.deployment, "worker-0", engine=True):
        load.problems["no engine ran"] += 1


def _cut(name: str, load: Load, _: list[str]) -> None:
    load.wait(5)
    faults.kill(load.deployment, name)
    load.wait(CUT_SECONDS)
    load.deployment.start(name)
    load.wait_for_push(BACK_SECONDS)


def _hang(name: str, load: Load, _: list[str]) -> None:
    load.wait(5)
    with faults.stopped(load.deployment, name):
        load.wait(CUT_SECONDS)
    load.wait_for_push(BACK_SECONDS)


def _full_disk(load: Load, _: list[str]) -> None:
    load.wait(5)
    with faults.full(load.deployment.folder):
        load.wait(CUT_SECONDS)
    for name, process in load.deployment.processes.items():  # what ends by itself is started again, as Docker does
        if process.poll() is not None:
            load.problems[f"{name} ended"] += 1
            load.deployment.start(name)
    load.wait_for_push(BACK_SECONDS)


def _clock(name: str, hours: int, load: Load, _: list[str]) -> None:
    name = f"web-{load.deployment.webs[0]}" if name == "web" else name
    with faults.clock_off(load.deployment, name, hours):
        load.wait(CUT_SECONDS)
    load.wait_for_push(BACK_SECONDS)


def _restore(load: Load, _: list[str]) -> None:
    load.wait(10)
    problems = restored(load)
    shutil.rmtree(load.deployment.folder / "backup")
    assert not problems, ", ".join(f"{times} × {problem}" for problem, times in problems.items())


_KILLS: dict[str, tuple[str, Callable[[Load], None]]] = {
    "web": ("one web container", _kill_web),
    "web-child": ("one process of gunicorn", _kill_web_child),
    "worker": ("the worker's first process alone", partial(_kill_parent, "worker-0")),
    "worker-child": ("a process of the worker's pool", _kill_worker_child),
    "engine": ("an engine", _kill_engine),
    "clock": ("the clock", partial(_kill_parent, "beat")),
    "nginx": ("nginx", partial(_kill, "nginx")),
    "postgres": ("PostgreSQL", partial(_kill, "postgres")),
    "redis": ("Redis", partial(_kill, "redis")),
    "s3": ("the store", partial(_kill, "s3")),
}
_STORES = {"postgres": "PostgreSQL", "redis": "Redis", "s3": "the store"}

_CLOCKS = {"web": ("web", "one web container"), "worker": ("worker-0", "the worker")}


def _all() -> Iterator[Scenario]:
    for name, (what, break_) in _KILLS.items():
        yield Scenario(f"kill-{name}", f"kill -9 of {what} in each step", _at_each_step(break_))
    for name, what in _STORES.items():
        yield Scenario(f"cut-{name}", f"{what} refuses connections for {CUT_SECONDS} s", partial(_cut, name))
    for name, what in _STORES.items():
        yield Scenario(f"hang-{name}", f"{what} is silent for {CUT_SECONDS} s (SIGSTOP)", partial(_hang, name))
    yield Scenario("full-disk", f"the one disk of all services is full for {CUT_SECONDS} s", _full_disk)
    for name, (part, what) in _CLOCKS.items():
        for hours in (1, -1):
            way = "ahead" if hours > 0 else "behind"
            done = f"the clock of {what} is an hour {way} for {CUT_SECONDS} s"
            yield Scenario(f"clock-{name}-{way}", done, partial(_clock, part, hours))
    yield Scenario("restore", "a backup during pushes is restored into an empty hub", _restore)


ALL = list(_all())
STEPS = list(NAMES)
