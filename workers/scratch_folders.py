"""Temporary folders of this host's workers; their names tell the process, so that those of dead ones are removed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.engine import work_folders

PREFIX = "dovetail-"


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
        work_folders.remove(path)  # a file that cannot be removed must not fail a verdict; `sweep` tries again


def sweep() -> int:
    """Remove folders of processes that are gone; return how many."""
    dead = [path for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*-*") if _is_abandoned(path)]
    for path in dead:
        work_folders.remove(path)
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
