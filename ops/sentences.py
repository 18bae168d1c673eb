"""Output of these commands: lines of progress, and errors of one sentence that name the problem and the fix."""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Stop(Exception):
    """The command cannot continue; the message is one sentence with the problem and the fix."""


def say(line: str = "") -> None:
    """Print a line immediately, also into a pipe."""
    print(line, flush=True)


def say_for_now(line: str) -> None:
    """Show progress on the last line of a terminal, in place of what was shown there; into a pipe print nothing."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\033[K{line[:width]}", end="", flush=True)


def complain(line: str) -> None:
    """Print a line to the error stream."""
    print(line, file=sys.stderr, flush=True)


def near(path: Path) -> str:
    """Return a path as a person in this directory would type it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) and path != here else str(path)
