"""Runs an engine as a separate process: its own interpreter, a clean environment, a time limit.

An engine is our session on a warm parent with one frozen base in memory (sessions.py). It forks a jailed child for each
adapter (workers/engine). Here is the other end of its pipes: start, wait, speak JSON lines, and kill without leaving
anything. Answers of the engine are checked by `dovetail.adapters.results.records`.
"""

import json
import math
import os
import select
import selectors
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from django.conf import settings

from dovetail.adapters.results import records
from dovetail.adapters.results.records import MAX_ITEMS, Malformed
from dovetail.adapters.results.report import CheckResult, Report
from dovetail.adapters.results.usage import ProgramRun
from workers.engine.job import Job
from workers.engine.pace import Pace
from workers.engines.sessions import WELL, Session, Unopened

MAX_LINE_BYTES = 1 << 20
MAX_JOB_BYTES = 4 << 20
STDERR_TAIL_BYTES = 2000
START_SECONDS = 120  # for which a job waits for an engine; on a busy machine it may still be starting then
START_IDLE_SECONDS = 60  # an engine that does nothing for so long while it starts is ended
START_CPU_SECONDS = 900  # of processor time that a start may take: bases of many gigabytes are hashed and copied
LOOK_SECONDS = 0.1
GRACE_SECONDS = 10  # the engine itself ends a job at its limit; this much later it counts as hung
LAST_BREATH_SECONDS = 2  # how long an engine that closed its pipe may live on
LEAVING_SECONDS = 10
ENGINE_MAIN = Path(__file__).parents[1] / "engine" / "__main__.py"
SERVE = "workers.engine.processes.serve"


class EngineFault(Exception):
    """The engine is to blame, as its worker sees it, never the adapter; the message is one sentence for operators."""


class EngineMissing(EngineFault):
    """No engine can be started here."""


class EngineDied(EngineFault):
    """The engine process ended in the middle of its work."""


class EngineHung(EngineFault):
    """The engine did not answer in time."""


class EngineSlow(EngineFault):
    """The engine is still starting, on a machine that is too busy; it goes on with that, and no work is lost."""


class EngineLied(EngineFault):
    """The engine said something that its protocol does not allow."""


Late = Callable[[], EngineFault | None]  # returns the fault of an engine that says nothing, None while it may


class Engine:
    """One engine of this process: its session on a warm parent."""

    def __init__(self, command: Sequence[str]) -> None:
        """Open a session on the parent of this command, and return at once."""
        self.ready: Mapping[str, Any] | None = None
        self.start_seconds = 0.0
        self._stderr = b""
        self._buffer = b""
        self._started = self._used = time.monotonic()
        try:
            self._session = Session(command)
        except Unopened as problem:
            raise EngineMissing(f"The engine cannot be started: {problem}.") from problem
        self._start = self._start_pace()

    @classmethod
    def serve(cls, python: str, base: str, base_id: str, module: str = SERVE) -> Self:
        """Start the engine of that interpreter with one base from the cache, or with none. Raises `EngineMissing`.

        The module is what runs in it: that of a feature instead of the one that proves adapters.
        """
        if not Path(python).exists():
            raise EngineMissing(f"There is no engine interpreter at {python}: build it with `make engines`.")
        base_arguments = ["--base", base, "--base-id", base_id] if base else []
        device_arguments = ["--device", settings.ENGINE_DEVICE, "--dtype", settings.ENGINE_DTYPE] if base else []
        more_arguments = ["--idle", str(settings.ENGINE_IDLE_SECONDS), "--shared"]
        return cls([python, "-I", str(ENGINE_MAIN), module, *base_arguments, *device_arguments, *more_arguments])

    @property
    def pid(self) -> int:
        return self._session.pid

    @property
    def parent(self) -> int:
        """The process id of its parent, which other processes of the worker may share."""
        return self._session.parent

    @property
    def sharers(self) -> int:
        """The number of sessions that the parent had when this one was asked for, which counts."""
        return self._session.sharers

    @property
    def home(self) -> Path:
        """The folder of its parent."""
        return self._session.home

    @property
    def is_alive(self) -> bool:
        return self._session.end is None

    @property
    def has_failed(self) -> bool:
        """True if it died before it was ready; one that ends by itself because nobody uses it has not."""
        return self.ready is None and self._session.end not in (None, WELL)

    @property
    def is_leaving(self) -> bool:
        """True shortly before it ends because nobody uses it: then it must get no other job.

        Not before its ready message was read: a start may take longer than an engine is kept, and is no idleness.
        """
        most, idle = settings.ENGINE_IDLE_SECONDS, time.monotonic() - self._used
        return bool(most) and self.ready is not None and idle > most - min(LEAVING_SECONDS, most / 2)

    @property
    def is_ready(self) -> bool:
        """True if it can take a job at once; also true of a dead engine, which raises at the next job."""
        return self.ready is not None or not self.is_alive or bool(select.select([self._session.stdout], [], [], 0)[0])

    def wait_until_ready(self, seconds: float = 0) -> Mapping[str, Any]:
        """Return the ready message of the engine: `engine`, `base`, `jail`. Any fault but `EngineSlow` kills it.

        It is waited for START_SECONDS unless `seconds` says otherwise.
        Raises `EngineDied`, `EngineHung`, `EngineSlow`, and `EngineLied` also when its jail has a hole.
        """
        if self.ready is None:
            with self._killed_at_fault():
                message = next(self._say(partial(self._slow_start, time.monotonic() + (seconds or START_SECONDS))))
                if message.get("event") != "ready":
                    raise EngineLied(f"The engine began with {message.get('event')!r} instead of `ready`.")
                if not isinstance(message.get("jail"), dict) or message["jail"].get("holes"):
                    raise EngineLied(f"The engine's sandbox does not hold: {message.get('jail')!r:.500}.")
                self._session.wait_for_fork()
                self.ready, self._used = message, time.monotonic()
                self.start_seconds = self._used - self._started
        return self.ready

    def run(self, job: Job, *, on_check: Callable[[CheckResult], None]) -> Report:
        """Validate one adapter and return the parsed report.

        `on_check` is called with each check as it ends; whatever it raises ends the job. Any exception kills the
        engine, since it is in the middle of something. Raises `EngineDied`, `EngineHung` and `EngineLied`.
        """
        with self._killed_at_fault():
            self.wait_until_ready()
            self._write(json.dumps({"job": job.says()}).encode() + b"\n")
            late = partial(self._no_answer, time.monotonic() + job.wall_seconds + GRACE_SECONDS)
            for count, message in enumerate(self._say(late)):
                if message.get("event") == "check" and count < MAX_ITEMS:
                    on_check(CheckResult.parse(message.get("check")))
                elif message.get("event") == "verdict" and message.get("job") == job.id:
                    self._used = time.monotonic()
                    return Report.parse(message.get("verdict"))
                else:
                    raise EngineLied(f"The engine said {str(message)[:200]} while job {job.id} ran.")
        raise AssertionError("the engine's lines end only by a return or a fault")

    def run_programs(self, job: Job) -> tuple[ProgramRun, ...]:
        """Run the programs of a job as they stand; return what became of each. Raises as `run` does."""
        with self.asked(job, "programs") as message:
            runs = message.get("programs")
            if not isinstance(runs, list) or len(runs) > len(job.programs):
                raise EngineLied(f"The engine said {str(runs)[:200]} of {len(job.programs)} programs.")
            return tuple(map(ProgramRun.parse, runs))

    @contextmanager
    def asked(self, job: Job, event: str) -> Iterator[Mapping[str, Any]]:
        """Send a job whose answer is one message, and yield that, to be parsed in the block. Raises as `run` does.

        A fault quotes nothing of it.
        """
        with self._killed_at_fault():
            self.wait_until_ready()
            self._write(json.dumps({"job": job.says()}).encode() + b"\n")
            deadline = time.monotonic() + job.wall_seconds + GRACE_SECONDS
            message = next(self._say(partial(self._no_answer, deadline)))
            self._used = time.monotonic()
            if message.get("event") != event or message.get("job") != job.id:
                raise EngineLied(f"The engine said something else than {event} while job {job.id} ran.")
            yield message

    def stop(self) -> None:
        """Kill the engine and all it started, and wait for the end of it; harmless if repeated.

        Its parent ends too if no other process of this worker uses it.
        """
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextmanager
    def _killed_at_fault(self) -> Iterator[None]:
        """Stop the engine if the block raises, and blame it for malformed messages."""
        with ExitStack() as fault:
            fault.callback(self.stop)
            try:
                yield
            except EngineSlow:
                fault.pop_all()
                raise
            except Malformed as problem:
                raise EngineLied(f"The engine sent a malformed message: {problem}.") from problem
            fault.pop_all()

    def _write(self, line: bytes) -> None:
        try:
            self._session.stdin.write(line)
        except OSError as problem:
            raise self._death() from problem

    def _no_answer(self, deadline: float) -> EngineFault | None:
        """Return the fault of an engine that has not done its job by the deadline."""
        if time.monotonic() <= deadline:
            return None
        return EngineHung(f"The engine gave no answer in time. {self._last_words()}")

    def _slow_start(self, deadline: float) -> EngineFault | None:
        """Return the fault of an engine whose start stands still, or has not ended by the deadline."""
        if self._session.end is None and self._start.pid != self.pid:  # its parent is warm, and has forked it
            self._start = self._start_pace()
        if self._start.excess():
            return EngineHung(f"The engine gave no answer while it started. {self._last_words()}")
        if time.monotonic() <= deadline:
            return None
        return EngineSlow(
            f"The engine is still starting: this machine gave it {self._start.used:.0f} s of processor time."
        )

    def _say(self, late: Late) -> Iterator[Mapping[str, Any]]:
        """Yield the messages of the engine, line by line. Raises at its death, if it is late, and at a flood."""
        received = 0
        with selectors.DefaultSelector() as selector:
            selector.register(self._session.stdout, selectors.EVENT_READ, "out")
            selector.register(self._session.stderr, selectors.EVENT_READ, "err")
            while True:
                while b"\n" in self._buffer:
                    line, _, self._buffer = self._buffer.partition(b"\n")
                    yield records.load(line)
                received += self._receive(selector, late)
                if received > MAX_JOB_BYTES or len(self._buffer) > MAX_LINE_BYTES:
                    raise EngineLied(f"The engine flooded its pipe with {received:,} bytes.")

    def _receive(self, selector: selectors.BaseSelector, late: Late) -> int:
        """Wait a moment for bytes on either pipe; return how many came on the one that carries lines.

        Bytes on the other pipe prolong nothing.
        """
        for key, _ in selector.select(LOOK_SECONDS):
            block = os.read(key.fd, 1 << 16)
            if key.data == "err":
                self._stderr = (self._stderr + block)[-STDERR_TAIL_BYTES:]
                if not block:
                    selector.unregister(key.fileobj)
            elif not block:
                raise self._death()
            else:
                self._buffer += block
                return len(block)
        if fault := late():
            raise fault
        return 0

    def _start_pace(self) -> Pace:
        return Pace(self.pid, START_CPU_SECONDS, START_IDLE_SECONDS, math.inf)

    def _death(self) -> EngineDied:
        self._drain_stderr()
        end = self._session.wait(LAST_BREATH_SECONDS)  # the news come a moment after the pipe closes
        return EngineDied(f"The engine ended {end or 'its part of the pipe'}. {self._last_words()}")

    def _drain_stderr(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._session.stderr, selectors.EVENT_READ)
            while selector.select(0) and (block := os.read(self._session.stderr.fileno(), 1 << 16)):
                self._stderr = (self._stderr + block)[-STDERR_TAIL_BYTES:]

    def _last_words(self) -> str:
        words = (self._stderr.decode(errors="replace") or self._session.words).strip()
        return f"Its last words: {words}" if words else "It said nothing."
