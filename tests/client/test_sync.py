"""`dovetail lock` and `dovetail sync` against a running hub: equal, whole or as before, whatever gets in the way."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from dovetail import locks, places
from dovetail.api.client import Client
from dovetail.hub_reader import ReadingHub
from dovetail.locks import Lock
from dovetail.problems import Problem
from dovetail.store import folder_sync, trees
from dovetail.store.store import Store
from tests import live
from tests.adapters import MINILM, lora, write
from tests.client.hostile import liar

NAMES = [f"alice/synced-{number}" for number in range(3)]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def warm(live_hub, tmp_path_factory) -> tuple[Path, Lock, Lock]:
    """A cache with three adapters at their first and at their second version, and the locks of both."""
    place, made = tmp_path_factory.mktemp("warm"), []
    alice = ReadingHub(live_hub.url, live.TOKENS["alice"])
    for words in ("# One\n", "# Two\n"):
        for number, name in enumerate(NAMES):
            folder = write(lora(MINILM) | {"notes.txt": f"{words}{number}".encode()}, place / str(number))
            Client(live_hub.url, live.TOKENS["alice"]).push(folder, name)
        made.append(folder_sync.add(alice, Lock(""), [(name, "main") for name in NAMES]))
        folder_sync.sync(made[-1], place / "served", lambda: alice, Store(place / "cache"))
    return place / "cache", made[0], made[1]


@pytest.fixture
def home(tmp_path: Path, warm, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test's own, also for what runs in this process, and the cache of the module."""
    monkeypatch.setenv("DOVETAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOVETAIL_CACHE", str(warm[0]))
    return tmp_path


@pytest.fixture
def versions(warm) -> tuple[Lock, Lock]:
    """The locks of both versions; the cache of the module has their files."""
    return warm[1], warm[2]


@pytest.fixture
def command(dovetail, live_hub, home):
    """Run a command as alice, with the cache of the module."""

    def run(*words, who: str = "alice", **environment: str):
        return dovetail(*words, hub=live_hub, who=who, DOVETAIL_CACHE=str(places.cache()), **environment)

    return run


@pytest.fixture
def alice(live_hub, home) -> Client:
    return Client(live_hub.url, live.TOKENS["alice"])


def move(alice: Client, adapter: str, commit: str) -> None:
    """Move the alias prod; nothing has passed, since no worker runs."""
    alice.alias(f"{adapter}@{commit}", "prod", force=True, reason="No worker runs here.")


def offline() -> ReadingHub:
    raise AssertionError("the hub is asked")


def test_a_folder_becomes_what_the_lock_says_and_then_nothing_is_left_to_do(command, alice, home):
    folder = write(lora(MINILM), home / "one")
    first = alice.push(folder, "alice/to-sync").revision
    move(alice, "alice/to-sync", first)
    locked = command("lock", "alice/to-sync@prod")
    assert (locked.returncode, locked.stdout) == (0, "adapters.lock\n"), locked.stderr
    assert "no verdict yet" in locked.stderr
    done = command("sync", "--to", "served")
    assert (done.returncode, done.stdout.strip().endswith("served")) == (0, True), done.stderr
    served = home / "work" / "served"
    assert contents(served / "alice" / "to-sync").keys() == {*contents(folder), ".gitattributes"}
    assert contents(folder).items() <= contents(served / "alice" / "to-sync").items()
    inode = served.stat().st_ino
    (folder / "notes.txt").write_text("# Two\n")
    second = alice.push(folder, "alice/to-sync").revision
    move(alice, "alice/to-sync", second)
    assert "Nothing to change" in command("sync", "--to", "served").stderr, "a lock does not move by itself"
    assert served.stat().st_ino == inode
    updated = json.loads(command("lock", "--update", "--json").stdout)
    assert (updated["is_changed"], updated["adapters"][0]["revision"]) == (True, second)
    assert command("sync", "--to", "served", "--check").returncode == 1
    changed = json.loads(command("sync", "--to", "served", "--json").stdout)
    assert (changed["added"], changed["removed"]) == ([f"alice/to-sync@{second}"], [f"alice/to-sync@{first}"])
    assert changed["downloaded"] == len("# Two\n"), "what is here already is not brought again"
    assert (served / "alice" / "to-sync" / "notes.txt").read_text() == "# Two\n"
    assert [path.name for path in (home / "work").iterdir() if "dovetail-tree" in path.name] == []
    (served / "alice" / "to-sync" / "notes.txt").write_text("# Twoo\n")
    (served / "mine.txt").touch()
    checked = command("sync", "--to", "served", "--check")
    unlike = ["changed or missing  alice/to-sync/notes.txt", "not in the lock     mine.txt"]
    assert (checked.returncode, checked.stdout.splitlines()) == (1, unlike), checked.stderr
    assert "~ alice/to-sync/notes.txt" in command("sync", "--to", "served").stderr
    assert json.loads(command("sync", "--to", "served", "--check", "--json").stdout)["changed"] == []


def test_without_a_hub_the_cache_is_enough_and_what_is_missing_is_said(command, versions, home, dovetail):
    first, _ = versions
    locks.write_file(replace(first, since=1), home / "work" / "first.lock")
    away = {"hub": "http://127.0.0.1:1", "DOVETAIL_CACHE": str(places.cache())}
    done = dovetail("sync", "first.lock", "--to", "offline", **away)
    assert (done.returncode, "was not asked" in done.stderr) == (0, True), done.stderr
    assert dovetail("sync", "first.lock", "--to", "frozen", "--frozen", **away).stderr.count("not asked") == 0
    assert contents(home / "work" / "offline") == contents(home / "work" / "frozen")
    cold = dovetail("sync", "first.lock", "--to", "cold", "--frozen", hub="http://127.0.0.1:1", DOVETAIL_CACHE="none")
    assert (cold.returncode, "does not answer" in cold.stderr) == (5, True)
    assert not (home / "work" / "cold").exists()


@pytest.mark.merge
def test_a_sync_that_is_killed_leaves_the_old_folder_or_the_new_one(versions, home):
    old, new = versions
    to, cache = home / "served", Store(places.cache())

    def sync(lock: Lock) -> None:
        folder_sync.sync(lock, to, offline, cache)

    sync(old)
    before = contents(to)
    sync(new)
    after = contents(to)
    seen, steps = set(), _steps(lambda: sync(old))
    assert steps > 40, "each file is linked, each folder made, and the old tree removed"
    for step in range(0, steps + 1, 3):
        sync(old)
        _killed_at(step, lambda: sync(new))
        now = contents(to)
        assert now in (before, after), f"a mixture after a kill at step {step} of {steps}"
        seen.add(now == after)
    assert seen == {True, False}, "kills before the exchange and after it"
    sync(new)
    assert contents(to) == after
    assert sorted(path.name for path in home.iterdir() if "dovetail-tree" in path.name) == []


def _steps(work) -> int:
    """Return how often the work asks the system to change something."""
    read, write_ = os.pipe()
    pid = os.fork()
    if not pid:
        counted = [0]
        sys.addaudithook(lambda event, _: counted.__setitem__(0, counted[0] + (event in CHANGES)))
        work()
        os.write(write_, str(counted[0]).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return int(os.read(read, 20))


CHANGES = {"os.link", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.utime", "open", "shutil.rmtree",
           "ctypes.call_function", "ctypes.dlsym"}  # fmt: skip


def _killed_at(step: int, work) -> None:
    pid = os.fork()
    if not pid:
        left = [step]

        def count(event: str, _: object) -> None:
            if event in CHANGES:
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1

        sys.addaudithook(count)
        work()
        os._exit(0)
    os.waitpid(pid, 0)


def test_a_folder_is_whole_also_where_it_cannot_be_exchanged(versions, home, monkeypatch):
    old, new = versions
    monkeypatch.setattr(trees, "_exchange", lambda *_: False)  # as NFS answers
    to, cache = home / "served", Store(places.cache())
    for lock in (old, new):
        folder_sync.sync(lock, to, offline, cache)
    after = contents(to)
    to.rename(trees._before(to))  # killed between the two renames
    folder_sync.sync(new, to, offline, cache)
    assert contents(to) == after
    assert [path.name for path in home.iterdir() if path.name.startswith(".served.dovetail-b")] == [
        ".served.dovetail-busy"
    ]


def test_two_syncs_of_one_folder_exclude_each_other(versions, home):
    old, new = versions
    to, cache = home / "served", Store(places.cache())
    folder_sync.sync(old, to, offline, cache)
    with trees.exclusive(to), pytest.raises(Problem, match=r"Another sync is changing .*served") as busy:
        folder_sync.sync(new, to, offline, cache)
    assert (busy.value.code, busy.value.exit_status) == ("client-sync-busy", 7)
    assert folder_sync.sync(new, to, offline, cache).is_changed


def test_what_somebody_changed_in_the_folder_is_put_right_and_leads_nowhere(versions, home):
    lock, _ = versions
    to, cache = home / "served", Store(places.cache())
    folder_sync.sync(lock, to, offline, cache)
    right = contents(to)
    (home / "outside").mkdir()
    (home / "outside" / "notes.txt").write_text("theirs")
    first = to / NAMES[0]

    def spoil() -> None:
        (first / "notes.txt").unlink()
        (first / "notes.txt").symlink_to(home / "outside" / "notes.txt")

    def lead_out() -> None:
        first.rename(home / f"moved-{time.monotonic_ns()}")
        first.symlink_to(home / "outside")

    def write_through() -> None:
        (first / "notes.txt").chmod(0o644)
        (first / "notes.txt").write_text("# Xne\n0")

    def add() -> None:
        (to / "alice" / "more").mkdir()

    for trick in (spoil, lead_out, write_through, add):
        trick()
        assert folder_sync.sync(lock, to, connect(lock), cache).is_changed, trick.__name__
        assert contents(to) == right, trick.__name__
        assert not any(path.is_symlink() for path in to.rglob("*"))
    assert (home / "outside" / "notes.txt").read_text() == "theirs"


def test_what_arrived_is_kept_and_what_is_not_as_locked_is_not_taken(versions, home):
    lock, _ = versions
    to, cache = home / "resumed", Store(home / "another-cache")
    weights = next(file for file in lock.adapters[0].files if file.path == "adapter_model.safetensors")
    half = Store(places.cache()).place(weights.sha256).read_bytes()[: weights.size // 2]
    cache.keep_part(_written(cache.part(weights.sha256), half), weights.sha256)
    sizes = {file.sha256: file.size for entry in lock.adapters for file in entry.files}
    done = folder_sync.sync(lock, to, connect(lock), cache)
    assert done.downloaded == sum(sizes.values()) - len(half), "the rest of a broken download, and each digest once"
    before = contents(to)
    files = [replace(file, sha256="0" * 64) if file == weights else file for file in lock.adapters[0].files]
    lie = replace(lock.adapters[0], files=tuple(files))
    with pytest.raises(Problem) as refused:
        folder_sync.sync(lock.with_entry(lie, None), to, connect(lock), cache)
    assert refused.value.code == "client-digest-mismatch"
    assert contents(to) == before


def _written(place: Path, data: bytes) -> Path:
    place.write_bytes(data)
    return place


def test_a_full_disk_leaves_the_old_folder(versions, home):
    old, new = versions
    to = home / "served"
    folder_sync.sync(old, to, connect(old), Store(home / "small"))
    before = contents(to)
    pid = os.fork()
    if not pid:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4, 4))
        try:
            folder_sync.sync(new, to, connect(new), Store(home / "small"))
        except OSError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert contents(to) == before
    assert [path.name for path in home.iterdir() if "dovetail-tree" in path.name] == []


def test_a_folder_that_is_right_is_not_written_to_and_one_that_is_not_ours_is_left_alone(versions, home, command):
    lock, _ = versions
    to, cache = home / "served", Store(places.cache())
    folder_sync.sync(lock, to, offline, cache)
    (home / ".served.dovetail-busy").unlink()
    assert not folder_sync.sync(lock, to, offline, cache).is_changed
    assert not (home / ".served.dovetail-busy").exists(), "so it works on a read-only file system"
    (home / "theirs").mkdir()
    (home / "theirs" / "thesis.txt").write_text("theirs")
    (home / "link").symlink_to(to)
    for place, why in (("theirs", "no sync has written"), ("link", "is a link"), ("theirs/thesis.txt", "is a file")):
        with pytest.raises(Problem, match=why):
            folder_sync.sync(lock, home / place, offline, cache)
    assert contents(home / "theirs") == {"thesis.txt": b"theirs"}
    locks.write_file(lock, home / "work" / "versions.lock")
    refused = command("sync", "versions.lock", "--to", "/proc/served")
    assert (refused.returncode, "Traceback" in refused.stderr) == (7, False), refused.stderr


def test_an_address_that_only_the_file_names_gets_no_token(dovetail, versions, home):
    lock, _ = versions
    with liar() as hub:
        locks.write_file(replace(lock, hub=hub.url), home / "work" / "adapters.lock")
        done = dovetail("sync", "--to", "x", DOVETAIL_CACHE="none", DOVETAIL_TOKEN="secret")
        assert done.returncode != 0
        assert hub.asked
        assert not any("authorization" in headers for _, headers in hub.asked)


@pytest.mark.merge
def test_a_watched_folder_follows_an_alias_and_drops_what_is_deleted(command, alice, live_hub, home):
    commits = []
    for words in ("# One\n", "# Two\n"):
        folder = write(lora(MINILM) | {"notes.txt": words.encode()}, home / "watched")
        commits.append(alice.push(folder, "alice/watched").revision)
    alice.push(folder, "alice/doomed")
    move(alice, "alice/watched", commits[0])
    assert command("lock", "alice/watched@prod", "alice/doomed").returncode == 0
    served = home / "work" / "served"
    environment = {**os.environ, "DOVETAIL_ENDPOINT": live_hub.url, "DOVETAIL_TOKEN": live.TOKENS["alice"]}
    environment["DOVETAIL_CACHE"] = str(places.cache())
    environment["PYTHONPATH"] = str(live.ROOT / "client" / "src")
    watching = [sys.executable, "-m", "dovetail", "sync", "--to", "served", "--watch", "--every", "1"]
    process = subprocess.Popen(
        watching, cwd=home / "work", env=environment, stderr=subprocess.PIPE, text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a run in the background ignores it
    )  # fmt: skip
    try:
        _until(lambda: (served / "alice/watched/notes.txt").read_text() == "# One\n")
        move(alice, "alice/watched", commits[1])
        _number_events(live_hub)
        _until(lambda: (served / "alice/watched/notes.txt").read_text() == "# Two\n")
        HfApi(live_hub.url, live.TOKENS["alice"]).delete_repo("alice/doomed")
        _number_events(live_hub)
        _until(lambda: not (served / "alice/doomed").exists() and (served / "alice/watched").exists())
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)[1]
    assert (process.returncode, "Traceback" in said) == (130, False), said
    assert f"+ alice/watched@{commits[1][:7]}" in said


def _number_events(hub: live.Hub) -> None:
    """Do what a worker does with events: this hub has none, and other tests leave theirs to it."""
    hub.manage("shell", "-c", "from registry.talk import dispatch; dispatch.run()")


def _until(is_so) -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            if is_so():
                return
        except FileNotFoundError:  # not there yet
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_hub_that_is_away_changes_nothing_and_is_asked_again(versions, live_hub):
    lock, _ = versions
    _number_events(live_hub)
    away = ReadingHub("http://127.0.0.1:1")
    follower = folder_sync.Follower(away, lock)
    seen = follower.look()
    assert (seen.lock, seen.problem.code) == (lock, "client-unreachable")
    follower._transport = connect(lock)()
    back = follower.look()
    assert (back.problem, back.gone) == (None, {})
    assert {entry.revision for entry in back.lock.adapters} == {entry.revision for entry in versions[1].adapters}


def connect(lock: Lock):
    return lambda: ReadingHub(lock.hub, live.TOKENS["alice"])
