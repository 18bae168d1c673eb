"""Empties a folder that a stranger may have filled: however deep it goes, and without following a link out of it."""

from __future__ import annotations

import itertools
import shutil
from contextlib import suppress
from pathlib import Path


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


def remove(folder: Path) -> None:
    """Remove the folder as well, as far as that is possible; a file that resists is left where it is."""
    with suppress(OSError):
        empty(folder)
        folder.rmdir()
        return
    shutil.rmtree(folder, ignore_errors=True)
