"""Makes, measures and empties folders that a jailed process may fill, however deeply nested they are."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MAX_FILES = 1000
PREFIX = "dovetail-"


def empty(folder: Path) -> None:
    """Remove everything in the folder. Raises `OSError` if that is refused."""
    numbers = itertools.count()
    waiting = list(folder.iterdir())
    while waiting:
        path = waiting.pop()
        if not path.is_dir() or path.is_symlink():
            path.unlink()
            continue
        for inner in list(path.iterdir()):  # moved up one level at a time, so that no path gets too long
            waiting.append(inner.rename(folder / f".felled-{id(waiting)}-{next(numbers)}"))
        path.rmdir()


def is_too_full(folder: Path, most_bytes: int) -> bool:
    """Return whether the folder holds more bytes or more files than a loader ever needs."""
    count = size = 0
    waiting = [folder]
    while waiting:
        with suppress(OSError):  # it may be gone again
            for path in waiting.pop().iterdir():  # os.walk would recurse once for each nested folder
                count, size = count + 1, size + path.lstat().st_size
                if path.is_dir() and not path.is_symlink():
                    waiting.append(path)
        if count > MAX_FILES or size > most_bytes:
            return True
    return False


def remove(folder: Path) -> None:
    """Remove the folder and its contents as far as possible; a file that cannot be removed is left."""
    with suppress(OSError):
        empty(folder)
        folder.rmdir()
        return
    shutil.rmtree(folder, ignore_errors=True)


# --- folders of this host's workers; their names tell the process, so that those of dead ones are removed ------------
def make(purpose: str) -> Path:
    """Make a private, empty folder with this process's id in its name; the caller removes it."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-{os.getpid()}-"))


@contextmanager
def folder(purpose: str) -> Iterator[Path]:
    """Lend a private, empty folder and remove it afterwards."""
    path = make(purpose)
    try:
        yield path
    finally:
        remove(path)  # a file that cannot be removed must not fail a verdict; `sweep` tries again


def sweep() -> int:
    """Remove folders of processes that are gone; return how many."""
    dead = [path for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*-*") if _is_abandoned(path)]
    for path in dead:
        remove(path)
    return len(dead)


def _is_abandoned(path: Path) -> bool:
    owner = path.name.removeprefix(PREFIX).split("-")[1]
    # Another user's folder cannot be removed, and process ids mean nothing across containers.
    if not owner.isdigit() or Path("/proc", owner).exists():
        return False
    try:
        return path.stat().st_uid == os.getuid()
    except FileNotFoundError:  # another worker of this host sweeps too
        return False
