"""Reads the jobs that a worker sends to a warm parent; standard library only."""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Iterator
from typing import Any

BLOCK = 1 << 16


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
