"""How these commands talk: a line of progress, or one sentence that says what is wrong and what to do, and exit 1."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Stop(Exception):
    """The command cannot go on; the message is one sentence for a person, with what to do."""


def say(line: str = "") -> None:
    """Print a line at once, also through a pipe."""
    print(line, flush=True)


def complain(line: str) -> None:
    """Print a line to the error stream."""
    print(line, file=sys.stderr, flush=True)


def near(path: Path) -> str:
    """Return a path as a person in this directory would type it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) and path != here else str(path)
