"""The processes of a worker share one warm parent for each engine and base; the end of one costs no other its work."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from workers.engine import work_folders
from workers.engine.job import Job
from workers.engines import keeper, sessions, warm_engines
from workers.engines.sandbox import Engine, EngineDied, EngineMissing

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).parent / "fake_engine.py"
JOB = Job(id="1", folder=Path("/nonexistent"))
# A process of a worker: for each line that it reads it runs a job, or ends at the word `stop`.
PROCESS = f"""
import json, sys
from pathlib import Path
from workers.engines import sessions
from workers.engines.sandbox import EngineFault
from workers.engines.sandbox import Engine
from workers.engine.job import Job
sessions.PLACE._folder = Path(sys.argv[1])
sessions.PLACE.also = (Path({str(ROOT)!r}),)
engine = Engine([sys.executable, "-I", {str(FAKE)!r}, sys.argv[2]])
engine.wait_until_ready()
print(json.dumps({{"pid": engine.pid, "parent": engine.parent, "home": str(engine.home)}}), flush=True)
for line in sys.stdin:
    if line.strip() == "stop":
        engine.stop()
        break
    print("began", flush=True)
    try:
        print(engine.run(Job(id="1", folder=Path("/nonexistent")), on_check=lambda check: None).state, flush=True)
    except EngineFault as fault:
        print(fault, flush=True)
"""


@pytest.fixture
def place(monkeypatch) -> Iterator[sessions.Place]:
    """The place of a worker of its own; at the end nothing of it is left."""
    mine = sessions.Place()
    mine.also = (ROOT,)
    monkeypatch.setattr(sessions, "PLACE", mine)
    mine.folder()
    yield mine
    mine.leave()


class Other:
    """Another process of the same worker."""

    def __init__(self, place: sessions.Place, mode: str) -> None:
        command = [sys.executable, "-c", PROCESS, str(place.folder()), mode]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=ROOT, text=True, bufsize=1, **pipes)
        self.engine = json.loads(self.hear())

    def hear(self) -> str:
        heard: IO[str] = self.process.stdout
        return heard.readline().strip()

    def say(self, word: str) -> None:
        self.process.stdin.write(f"{word}\n")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def other(place) -> Iterator[Callable[[str], Other]]:
    """Start another process of the worker, whose engine behaves in that way."""
    started: list[Other] = []

    def start(mode: str) -> Other:
        started.append(Other(place, mode))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def start(mode: str) -> Engine:
    return Engine([sys.executable, "-I", str(FAKE), mode])


def state(engine: Engine) -> str:
    return engine.run(JOB, on_check=lambda check: None).state


def is_running(pid: int) -> bool:
    """Return whether a process is alive; a zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def is_there(what: int | Path) -> bool:
    return what.exists() if isinstance(what, Path) else is_running(what)


def gone(*what: int | Path) -> bool:
    """Return whether processes end and folders disappear: the keeper removes a folder after the end of its process."""
    deadline = time.monotonic() + 180
    while any(map(is_there, what)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(map(is_there, what))


def keeper_of(engine: Engine) -> int:
    return int(Path(f"/proc/{engine.parent}/stat").read_text().rpartition(")")[2].split()[1])


def test_processes_share_one_parent_and_work_at_the_same_time(other):
    first, second = other("slow"), other("slow")  # 1.5 s a job
    assert first.engine["parent"] == second.engine["parent"]
    assert first.engine["pid"] != second.engine["pid"]
    for process in (first, second):
        process.say("run")
        assert process.hear() == "began"
    jobs = Path("/proc/{0}/task/{0}/children".format(first.engine["parent"])).read_text().split()
    assert {first.engine["pid"], second.engine["pid"]} == set(map(int, jobs))
    assert [process.hear() for process in (first, second)] == ["passed", "passed"]
    first.say("stop")
    assert gone(first.engine["pid"])
    assert is_running(second.engine["parent"])
    second.say("stop")
    assert gone(second.engine["pid"], second.engine["parent"], Path(second.engine["home"]))


def test_a_killed_process_takes_its_session_alone(other, place):
    first, second = other("slow"), other("slow")
    second.say("run")
    assert second.hear() == "began"
    first.kill()  # also the process that started the keeper
    assert gone(first.engine["pid"])
    assert second.hear() == "passed"
    with start("slow") as third:
        assert (third.parent, third.sharers) == (second.engine["parent"], 2)
        keeping = keeper_of(third)
    second.kill()
    assert gone(second.engine["pid"], second.engine["parent"], Path(second.engine["home"]))
    place.leave()
    assert gone(keeping), "nobody needs the keeper any more"


def test_another_engine_or_base_gets_a_parent_of_its_own(place):
    with start("passes") as one, start("fails") as another:
        assert one.parent != another.parent
        assert [state(engine) for engine in (one, another)] == ["passed", "failed"]


def test_a_session_that_dies_costs_its_own_job_alone(other, place):
    second = other("passes")
    with start("passes") as engine:
        engine.wait_until_ready()
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(EngineDied, match="by SIGKILL"):
            state(engine)
    second.say("run")
    assert (second.hear(), second.hear()) == ("began", "passed")


def test_a_parent_that_dies_is_started_again(place):
    with start("hangs") as engine:
        engine.wait_until_ready()
        session, parent, home = engine.pid, engine.parent, engine.home
        threading.Timer(0.1, os.kill, (parent, signal.SIGKILL)).start()
        with pytest.raises(EngineDied, match="by SIGKILL"):
            state(engine)
    assert gone(session, parent, home)
    with start("passes") as engine:
        assert state(engine) == "passed"


def test_a_keeper_that_dies_takes_all_with_it_and_is_started_again(place):
    with start("hangs") as engine:
        engine.wait_until_ready()
        session, parent, home = engine.pid, engine.parent, engine.home
        threading.Timer(0.1, os.kill, (keeper_of(engine), signal.SIGKILL)).start()
        with pytest.raises(EngineDied, match="with the keeper of engines"):
            state(engine)
    assert gone(session, parent)
    with start("passes") as engine:
        assert state(engine) == "passed"
    work_folders.sweep()
    assert not home.exists()


@pytest.mark.merge
def test_a_parent_that_hangs_is_ended_with_its_sessions(place, monkeypatch):
    with start("passes") as engine:
        engine.wait_until_ready()
        session, parent = engine.pid, engine.parent
        os.kill(parent, signal.SIGSTOP)
    assert gone(session, parent)


def test_the_end_of_a_start_that_nobody_waits_for_is_the_end_of_its_parent(place):
    engine = start("never ready")
    parent, home = engine.parent, engine.home
    assert engine.pid == parent
    engine.stop()
    assert gone(parent, home)


def test_a_command_that_cannot_be_started_is_a_missing_engine(place):
    with pytest.raises(EngineMissing, match="No such file"):
        Engine(["/nonexistent/python"])
    with start("passes") as engine:
        assert state(engine) == "passed"


def test_a_number_that_stands_for_something_new_is_not_taken_for_the_old(tmp_path, monkeypatch):
    ended, listener = socket.socketpair()
    with ended, listener:
        loop, heard = keeper.Keeper(tmp_path, listener), []
        loop._watch(ended, lambda: heard.append("the old one"))
        stale = loop._selector.get_key(ended)
        loop._unwatch(ended)
        loop._watch(ended.fileno(), lambda: heard.append("the new one"))
        fresh = loop._selector.get_key(ended.fileno())
        rounds = iter([False, True])
        monkeypatch.setattr(loop, "_may_end", lambda: next(rounds))
        monkeypatch.setattr(loop._selector, "select", lambda seconds: [(stale, 1), (fresh, 1)])
        loop.run()
    assert heard == ["the new one"]


def test_nobody_else_can_reach_the_keeper(place):
    with start("passes") as engine:
        folder = place.folder()
        assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, os.getuid())
        assert (folder / keeper.SOCKET).is_socket()
        surroundings = Path(f"/proc/{keeper_of(engine)}/environ").read_text().split("\0")
        assert {line.partition("=")[0] for line in surroundings if line} <= {"TMPDIR", "LANG"}


def test_a_parent_counts_once_for_all_that_share_it(other, place):
    with start("passes") as engine:
        engine.wait_until_ready()
        alone = warm_engines.share(engine)
        own, parent = warm_engines.memory(engine.pid), warm_engines.memory(engine.parent)
        assert abs(alone - own - parent) < 4 << 20
        second = other("passes")
        shared = warm_engines.share(engine)
        own, parent = warm_engines.memory(engine.pid), warm_engines.memory(engine.parent)
        assert second.engine["parent"] == engine.parent
        assert abs(shared - own - parent // 2) < 4 << 20
