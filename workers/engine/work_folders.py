"""Measures and empties folders that a jailed process may fill, however deeply nested they are."""

from __future__ import annotations

import itertools
import shutil
from contextlib import suppress
from pathlib import Path

MAX_FILES = 1000


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
