"""Folders that a stranger may fill: how full they are, and how they are emptied, however deep they go."""

from __future__ import annotations

import itertools
import shutil
from contextlib import suppress
from pathlib import Path

MAX_FILES = 1000


def empty(folder: Path) -> None:
    """Remove all that is in the folder. Raises `OSError` where that is refused."""
    numbers = itertools.count()
    waiting = list(folder.iterdir())
    while waiting:
        path = waiting.pop()
        if not path.is_dir() or path.is_symlink():
            path.unlink()
            continue
        for inner in list(path.iterdir()):  # moved up, one step at a time: where it is, it would take a step deeper
            waiting.append(inner.rename(folder / f".felled-{id(waiting)}-{next(numbers)}"))
        path.rmdir()


def is_too_full(folder: Path, most_bytes: int) -> bool:
    """Whether there is more in it, or more files, than a loader ever needs."""
    found = size = 0
    waiting = [folder]
    while waiting:
        with suppress(OSError):  # it may be gone again
            for path in waiting.pop().iterdir():  # os.walk would take a step deeper for each folder in a folder
                found, size = found + 1, size + path.lstat().st_size
                if path.is_dir() and not path.is_symlink():
                    waiting.append(path)
        if found > MAX_FILES or size > most_bytes:
            return True
    return False


def remove(folder: Path) -> None:
    """Remove the folder as well, as far as that is possible; a file that resists is left where it is."""
    with suppress(OSError):
        empty(folder)
        folder.rmdir()
        return
    shutil.rmtree(folder, ignore_errors=True)
