"""`dovetail sync` of 1,000 adapters: the first time, again, and after ten moved; beside bare links and bare looks."""

import hashlib
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.line import Line, spread
from dovetail import lock_files
from dovetail.locks import Lock, LockedAdapter, LockedFile
from dovetail.store import Store
from ops.sentences import ROOT

ADAPTERS, FILES, SIZE = 1000, 5, 4096
HUB = "http://127.0.0.1:1"  # nobody answers there: what is measured needs no hub


def lines() -> Iterator[Line]:
    """Measure whole processes, as people run them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = Store(folder / "cache")
        lock = Lock(HUB, tuple(_adapter(cache, number, "one") for number in range(ADAPTERS)))
        lock_files.write(lock, folder / "adapters.lock")
        first, links = _sync(folder), _seconds(lambda: _link_all(folder))
        yield Line(
            f"first sync of {ADAPTERS:,} adapters from the cache", first, "s", note=f"{first / links:.1f} × links"
        )
        again = [_sync(folder) for _ in range(5)]
        looks = min(_seconds(lambda: _look_at_all(folder / "served")) for _ in range(5))
        bare = min(_seconds(_start_nothing) for _ in range(3))
        note = f"{spread(again)}; {min(again) / looks:.1f} × bare looks, of which {bare:.2f} s start Python"
        yield Line("the same again, best of 5", min(again), "s", most=2, note=note)
        moved = Lock(HUB, (*lock.adapters[10:], *(_adapter(cache, number, "two") for number in range(10))))
        lock_files.write(moved, folder / "adapters.lock")
        yield Line("after ten of them moved", _sync(folder), "s", most=5)
        read = _sync(folder, "--verify")
        yield Line("with every byte read again (--verify)", read, "s")


def _adapter(cache: Store, number: int, version: str) -> LockedAdapter:
    files = []
    for index in range(FILES):
        data = f"{version} {number} {index} ".encode().ljust(SIZE, b".")
        sha256 = hashlib.sha256(data).hexdigest()
        part = cache.part(sha256)
        part.write_bytes(data)
        cache.take(part, sha256)
        files.append(LockedFile(f"file-{index}.bin", sha256, SIZE))
    commit = hashlib.sha1(f"{version} {number}".encode(), usedforsecurity=False).hexdigest()
    return LockedAdapter(f"bench/adapter-{number}", "prod", commit, f"bench/adapter-{number}", tuple(files))


def _sync(folder: Path, *more: str) -> float:
    environment = {**os.environ, "DOVETAIL_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT / "client" / "src")}
    command = [sys.executable, "-m", "dovetail", "sync", "--to", "served", "--frozen", *more]
    return _seconds(lambda: subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True))


def _seconds(step: Callable[[], object]) -> float:
    """Return the CPU time of a step and of its processes, which depends less on other load than wall time."""
    began = _spent()
    step()
    return _spent() - began


def _spent() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _link_all(folder: Path) -> None:
    """Make the folder with nothing but calls of the system, which no tool can be faster than."""
    for number in range(ADAPTERS):
        (folder / "bare" / str(number)).mkdir(parents=True)
    for index, file in enumerate(file for file in (folder / "cache").glob("??/*")):
        os.link(file, folder / "bare" / str(index % ADAPTERS) / str(index))


def _look_at_all(served: Path) -> None:
    """Look at every file once, which is the least that says whether it has changed."""
    for above, _, files in os.walk(served):
        for name in files:
            os.lstat(f"{above}/{name}")


def _start_nothing() -> None:
    subprocess.run([sys.executable, "-c", "import typer, rich.console"], check=True)
