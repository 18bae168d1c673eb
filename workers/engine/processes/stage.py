"""Forks a jailed child for one stage of a validation, and checks every frame that it sends."""

import json
import math
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from dovetail.adapters.results.records import SPARSE, Limits, Malformed, Record
from dovetail.adapters.results.report import CheckResult, Conditions, Cost, Sample
from dovetail.adapters.results.usage import AdapterUsage
from workers.engine import jail, work_folders
from workers.engine.pace import HANG_SECONDS, WALL_SECONDS, Excess, Pace

MAX_BYTES = 480 << 10  # of one stage: two stages make one line of the engine, which a worker limits to a megabyte
MAX_NAME = 4096
CHECKS = Limits(text=2000, exact=True)
ANSWERED = "answered"  # by a module of a feature, in place of a validation
KINDS = frozenset({"check", "facts", "serving", "eval", "earlier", "strength", "run", "jail", "crash", "ran", ANSWERED})
CRASH = 1200  # characters of a traceback that a child may report
MEMORY, FULL = "memory", "it filled its work folder"
ROOM_FACTOR = 4  # a loader writes what it reads at most once per file, and some configs
LAST_BREATH_SECONDS = 5  # freeing much memory takes a while on a busy machine
TICK_SECONDS = 0.05  # how often the limits of a child are checked

Frame = Mapping[str, Any]
Say = Callable[[Frame], None]
Watch = Callable[[], str]  # returns the limit that a child exceeded, "" for none; "memory" ends it as the kernel would


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about the files for the second stage: the model that they need, and the size of the largest in bytes."""

    format: str | None = None
    kind: str | None = None
    task: str = ""
    labels: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Run(Record):
    """The cost of running the adapter, the conditions of its numbers, a few answers, and how it is used."""

    cost: Cost
    conditions: Conditions
    samples: tuple[Sample, ...]
    usage: AdapterUsage | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Walls:
    """Limits of a child: what it may read and write, its time and memory. `memory_bytes` is added to what is mapped.

    `seconds` are of processor time; `pace` explains the other two.
    `threads` is true for a body whose libraries start threads; their stacks count as memory. `calls` are system calls
    that they make, and that are refused otherwise.
    """

    work: Path | None
    readable: Sequence[Path]
    seconds: float
    memory_bytes: int
    file_bytes: int = 1 << 16
    idle_seconds: float = HANG_SECONDS
    wall_seconds: float = WALL_SECONDS
    threads: bool = False
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a child: `signal` is 0 unless a signal ended it; `cpu_seconds` is the processor time that it used.

    `excess` names the limit of time at which the parent ended it.
    """

    status: int = 0
    signal: int = 0
    excess: Excess = ""
    lied: str = ""
    cpu_seconds: float = 0.0


def run(
    walls: Walls, body: Callable[[Say], None], believed: Collection[str], also: Collection[str] = ()
) -> Iterator[Frame | Ending]:
    """Fork a jailed child, run `body` in it, and yield each frame that may be believed; the last item is the `Ending`.

    `believed` are the check ids that this stage may report: a hostile loader cannot report the static checks. `also`
    are kinds of frames that only some children may send.
    """
    if jail.threads() != 1:
        raise RuntimeError("an engine with more than one thread must not fork")
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _be_the_child(writer, parent, walls, body)
    os.close(writer)
    pace = Pace(child, walls.seconds, walls.idle_seconds, walls.wall_seconds)
    ending = Ending(status=1)
    try:
        watch = partial(_watch, walls) if walls.work else None
        for item in hear(reader, pace, believed, also, watch):
            if isinstance(item, Ending):
                ending = item
            else:
                yield item
    finally:
        os.close(reader)
        ended = reap(child, ending)
    yield replace(ended, cpu_seconds=pace.used)


def hear(
    reader: int, pace: Pace, believed: Collection[str], also: Collection[str] = (), watch: Watch | None = None
) -> Iterator[Frame | Ending]:
    """Yield each frame that may be believed, and last the `Ending`: by silence, a lie, or a limit of time."""
    for item in _listen(reader, pace, watch):
        if isinstance(item, Ending):
            yield item
        elif problem := _lie(item, believed, also):
            yield Ending(lied=problem)
        else:
            yield item
            continue
        return


def reap(child: int, heard: Ending) -> Ending:
    """End the child if it does not end by itself; return `heard`, completed with its exit status."""
    at_once = bool(heard.excess) or bool(heard.lied) or bool(heard.signal)
    done, status = _wait(child, 0 if at_once else LAST_BREATH_SECONDS)
    if not done:
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    return replace(
        heard,
        status=os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
        signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        lied=heard.lied or ("" if done or at_once else "it closed its pipe and did not exit"),
    )


def _wait(child: int, seconds: float) -> tuple[int, int]:
    """Wait for a child, which has no children of its own; return its id and status, zeros if it still lives."""
    deadline = time.monotonic() + seconds
    while not (result := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
        time.sleep(0.001)
    return result


def _watch(walls: Walls) -> str:
    assert walls.work is not None
    return FULL if work_folders.is_too_full(walls.work, ROOM_FACTOR * walls.file_bytes) else ""


def _be_the_child(writer: int, parent: int, walls: Walls, body: Callable[[Say], None]) -> None:
    """Run the child; never return, so that nothing goes on in the parent's code."""
    status = 70
    try:
        jail.die_with_parent(parent)
        leave_all_but(writer)
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
        jail.lock_down(
            walls.work,
            walls.readable,
            memory_bytes=mapped + walls.memory_bytes,
            cpu_seconds=math.ceil(walls.seconds),
            file_bytes=walls.file_bytes,
            threads_too=walls.threads,
            calls=walls.calls,
        )
        body(partial(say, writer))
        status = 0
    except jail.JailUnavailable as problem:
        say(writer, {"jail": str(problem)})
    finally:
        end(status, partial(say, writer))


def end(status: int, tell: Say) -> NoReturn:
    """End this process, and tell first what is being raised in it: its standard streams lead nowhere."""
    try:
        if isinstance(problem := sys.exception(), Exception):
            tell({"crash": _traced(problem)})
    finally:
        os._exit(status)


def _traced(problem: Exception) -> str:
    """Return an exception and the places in the code that led to it, the last one first, in one line."""
    calls = traceback.extract_tb(problem.__traceback__)[::-1]
    places = ", ".join(f"{Path(call.filename).name}:{call.lineno} in {call.name}" for call in calls[:8])
    return f"{type(problem).__name__}: {' '.join(str(problem).split())[:400]} ({places})"[:CRASH]


def leave_all_but(*descriptors: int) -> None:
    """Close inherited descriptors: the standard streams lead to /dev/null, and only the named ones stay open."""
    for standard in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), standard)
    jail.close_all_but({0, 1, 2, *descriptors})


def say(writer: int, frame: Frame) -> None:
    data = json.dumps(frame, allow_nan=False).encode() + b"\n"
    while data:
        data = data[os.write(writer, data) :]


def _listen(reader: int, pace: Pace, watch: Watch | None) -> Iterator[Frame | Ending]:
    buffer, total = b"", 0
    while True:
        if trouble := _trouble(pace, watch):  # checked even if the child never stops writing
            yield trouble
            return
        if not select.select([reader], [], [], TICK_SECONDS)[0]:
            continue
        block = os.read(reader, 1 << 16)
        if not block:
            yield Ending(excess="cpu" if pace.excess() == "cpu" else "")
            return
        pace.mark()
        total += len(block)
        *lines, buffer = (buffer + block).split(b"\n")
        for line in lines:
            yield _parse(line)
        if total > MAX_BYTES:
            yield {"flood": total}


def _trouble(pace: Pace, watch: Watch | None) -> Ending | None:
    """Return the reason why a child must be ended, None if it may go on."""
    if excess := pace.excess():
        return Ending(excess=excess)
    limit = watch() if watch else ""
    if limit == MEMORY:
        return Ending(signal=signal.SIGKILL)
    return Ending(lied=limit) if limit else None


def _parse(line: bytes) -> Frame:
    if not line.isascii():  # `say` writes ASCII only, and encoding the frame again must not make it longer
        return {}
    try:
        frame = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}
    return frame if isinstance(frame, dict) else {}


def _refuse(name: str) -> None:
    raise ValueError(name)


def _lie(frame: Frame, believed: Collection[str], also: Collection[str] = ()) -> str:
    """Return why an honest child cannot have sent a frame, "" if it can.

    A frame that a worker would refuse is caught here, since the worker would end the whole engine for it.
    """
    if len(frame) != 1 or not frame.keys() & (KINDS | frozenset(also)):
        return "the child sent a frame that is not part of the protocol"
    if "check" in frame and not _is_check(frame["check"], believed):
        return "the child reported a check that it must not report"
    if "facts" in frame and not _are_facts(frame["facts"]):
        return "the child reported malformed facts"
    return ""


def _is_check(document: object, believed: Collection[str]) -> bool:
    try:
        check = CheckResult.parse(document, CHECKS)
    except Malformed:
        return False
    return check.id in believed


def _are_facts(document: Any) -> bool:
    if not isinstance(document, dict) or document.keys() != {one.name for one in fields(Facts)}:
        return False
    texts = isinstance(document["task"], str) and all(_is_short(document[key]) for key in ("format", "kind"))
    return texts and all(type(document[key]) is int and 0 <= document[key] < 1 << 50 for key in ("labels", "bytes"))


def _is_short(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= MAX_NAME)
