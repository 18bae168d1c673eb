"""The pipes of an engine: the jobs that a worker sends, and the answers to it; standard library only."""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Iterator
from typing import Any, TextIO

BLOCK = 1 << 16
Voice = TextIO  # what is written there reaches the worker, line by line


def take_voice() -> Voice:
    """Return the standard output for answers alone: what is printed from now on goes to the standard error."""
    voice = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return voice


def jobs(idle_seconds: float) -> Iterator[dict[str, Any]]:
    """Yield one job after another; end when the worker has closed the pipe, or after so many seconds without a job.

    With 0 it is waited for ever.
    """
    source, buffer = sys.stdin.fileno(), b""
    while True:
        if not buffer and not select.select([source], [], [], idle_seconds or None)[0]:
            return
        block = os.read(source, BLOCK)
        if not block:
            return
        *lines, buffer = (buffer + block).split(b"\n")
        yield from (json.loads(line)["job"] for line in lines)
