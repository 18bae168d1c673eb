"""Forks a jailed child for one stage of a validation, and believes little of what it says."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.engine import jail

MAX_BYTES = 1 << 20
MAX_TEXT = 2000
OUTCOMES = ("passed", "warned", "failed", "skipped")

Frame = dict[str, Any]
Say = Callable[[Frame], None]


@dataclass(frozen=True, slots=True)
class Walls:
    """What the child may read, write and take. `memory_bytes` is on top of what is mapped already."""

    work: Path | None
    readable: Sequence[Path]
    seconds: float
    memory_bytes: int
    file_bytes: int = 1 << 16


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended: `signal` is 0 unless one ended it; `hung` when the parent ended it at the wall limit."""

    status: int = 0
    signal: int = 0
    hung: bool = False
    lied: str = ""
    seconds: float = 0.0


def run(walls: Walls, body: Callable[[Say], None], believed: Collection[str]) -> Iterator[Frame | Ending]:
    """Forks, jails, lets `body` speak, and yields each frame that may be believed; the last item is the `Ending`.

    `believed` are the check ids this stage may report: a loader that was taken over cannot speak for the static checks.
    """
    if jail.threads() != 1:
        raise RuntimeError("an engine with more than one thread must not fork")
    reader, writer = os.pipe()
    parent, began = os.getpid(), time.monotonic()
    child = os.fork()
    if child == 0:
        _be_the_child(writer, parent, walls, body)
    os.close(writer)
    ending = Ending(status=1)
    try:
        for item in _listen(reader, began + walls.seconds):
            if isinstance(item, Ending):
                ending = item
            elif problem := _lie(item, believed):
                ending = Ending(lied=problem)
                break
            else:
                yield item
    finally:
        os.close(reader)
        status = _reap(child, at_once=ending.hung or bool(ending.lied))
    yield Ending(
        status=os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 0,
        signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        hung=ending.hung,
        lied=ending.lied,
        seconds=time.monotonic() - began,
    )


def _be_the_child(writer: int, parent: int, walls: Walls, body: Callable[[Say], None]) -> None:
    """Never returns: whatever happens here must not go on in the parent's code."""
    status = 70
    try:
        jail.die_with_parent(parent)
        for standard in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), standard)
        jail.close_all_but({0, 1, 2, writer})
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
        jail.lock_down(
            walls.work,
            walls.readable,
            memory_bytes=mapped + walls.memory_bytes,
            cpu_seconds=math.ceil(walls.seconds),
            file_bytes=walls.file_bytes,
        )
        body(lambda frame: _say(writer, frame))
        status = 0
    except jail.JailUnavailable as problem:
        _say(writer, {"jail": str(problem)})
    finally:
        os._exit(status)


def _say(writer: int, frame: Frame) -> None:
    data = json.dumps(frame, allow_nan=False).encode() + b"\n"
    while data:
        data = data[os.write(writer, data) :]


def _listen(reader: int, deadline: float) -> Iterator[Frame | Ending]:
    buffer, total = b"", 0
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        block = os.read(reader, 1 << 16) if ready else b""
        if not block:
            yield Ending(hung=not ready)
            return
        total += len(block)
        *lines, buffer = (buffer + block).split(b"\n")
        for line in lines:
            yield _parse(line)
        if total > MAX_BYTES:
            yield {"flood": total}


def _parse(line: bytes) -> Frame:
    try:
        frame = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}
    return frame if isinstance(frame, dict) else {}


def _refuse(name: str) -> None:
    raise ValueError(name)


def _lie(frame: Frame, believed: Collection[str]) -> str:
    """Why a frame cannot be an honest child's, or nothing."""
    if len(frame) != 1 or not frame.keys() & {"check", "facts", "serving", "eval", "jail", "ran"}:
        return "the child said something that is no part of the protocol"
    check = frame.get("check")
    if "check" in frame and not (
        isinstance(check, dict)
        and check.get("id") in believed
        and check.get("outcome") in OUTCOMES
        and all(isinstance(check.get(key), str) and len(check[key]) <= MAX_TEXT for key in ("message", "fix"))
    ):
        return "the child reported a check that is not its to report"
    return ""


def _reap(child: int, at_once: bool) -> int:
    """Waits for the child, which cannot have children of its own, and kills it if it does not end by itself."""
    deadline = time.monotonic() + (0 if at_once else 1)
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]
