"""Runs the format library's static checks on a few files; imports nothing of ours: `examinations` runs it alone.

The job is JSON on standard input: {"files": {path: file on this machine}, "card": front matter, "seconds": limit}. The
answer is {"description": …, "checks": […]}: each as the library writes it, the description null without an adapter.
"""

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from dovetail import adapters

MEMORY_BYTES = 2 << 30


def opener(place: str) -> Callable[[], BinaryIO]:
    """Return a function that opens the file."""
    return lambda: Path(place).open("rb")


def main() -> None:
    """Read the job, limit this process, and write what was found."""
    job = json.load(sys.stdin)
    seconds = job["seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    files = {path: opener(place) for path, place in job["files"].items()}
    description = adapters.describe(files)
    checks = [result.as_json() for result in adapters.check(files, job["card"])]
    json.dump({"description": asdict(description) if description else None, "checks": checks}, sys.stdout)


if __name__ == "__main__":
    main()
