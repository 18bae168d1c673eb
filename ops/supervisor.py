"""Runs a few programs as one: they start together, stop in a fixed order, and none outlives this process.

Process runners such as honcho signal all programs at once. Then the broker ends before the worker has handed its
messages back, and a validation's child before its parent could report it. So this is `subprocess` and sessions.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from ops.sentences import Stop, near, say

LOG_BYTES = 10 << 20
SAME_SIGNAL = 1.0  # seconds
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_asked_at = float("-inf")
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Program:
    """One program. `grace` is how many seconds it may take to end after `ending`; nothing else gets `environment`."""

    name: str
    command: Sequence[str]
    grace: float = 10.0
    ending: signal.Signals = signal.SIGTERM
    environment: Mapping[str, str] = field(default_factory=dict)


class StopAsked(BaseException):
    """Ctrl-C or SIGTERM; a BaseException, so that no `except Exception` on the way takes it for an error."""


def listen_for_stop() -> None:
    """Turn SIGINT, SIGTERM and SIGHUP into StopAsked in the main thread."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ask_to_stop)


def end_with_parent() -> None:
    """Have the kernel send this process SIGTERM when its parent ends, even by SIGKILL."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def call_process(name: str) -> None:
    """Give this process a name, of 15 characters at most, as lists of processes show it."""
    if _libc is not None:
        _libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def how_it_ended(code: int) -> str:
    """Return the words for a return code of subprocess."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def _ask_to_stop(number: int, frame: FrameType | None) -> None:
    """Raise StopAsked once for a signal that comes twice: systemd signals make as well, which passes SIGTERM on."""
    global _asked_at
    if time.monotonic() - _asked_at < SAME_SIGNAL:
        return
    _asked_at = time.monotonic()
    raise StopAsked(signal.Signals(number).name)


class Supervisor:
    """Starts and stops the programs; each writes to a log file of its own under `logs`."""

    def __init__(self, logs: Path, environment: Mapping[str, str], cwd: Path) -> None:
        self._logs = logs
        self._environment = dict(environment)
        self._cwd = cwd
        self._running: list[tuple[Program, subprocess.Popen[bytes]]] = []
        logs.mkdir(parents=True, exist_ok=True)

    def log_of(self, name: str) -> Path:
        """Return the file that a program writes to."""
        return self._logs / f"{name}.log"

    def start(self, program: Program) -> None:
        """Start a program in a session of its own, so that Ctrl-C reaches this process alone, which keeps the order."""
        path = self.log_of(program.name)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as log:
            process = subprocess.Popen(
                list(program.command),
                cwd=self._cwd,
                env={**self._environment, **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent,  # safe: this process has one thread
            )
        self._running.append((program, process))

    def require_all_alive(self) -> None:
        """Raise Stop with a sentence that names the first program that ended by itself."""
        for program, process in self._running:
            if process.poll() is not None:
                raise Stop(self._reason(program, process.returncode))

    def _reason(self, program: Program, code: int) -> str:
        log, how = self.log_of(program.name), how_it_ended(code)
        last = "\n".join(f"    {line}" for line in _last_lines(log))
        return f"The {program.name} {how}, so everything else was stopped too; its log is {near(log)} and ends:\n{last}"

    def wait(self) -> None:
        """Watch until a program ends by itself (Stop) or somebody asks to stop (StopAsked)."""
        while True:
            self.require_all_alive()
            time.sleep(0.5)

    def stop(self) -> None:
        """End every program, the first started last, each within its grace; leave no process of theirs."""
        try:
            for program, process in self._running[1:]:
                process.send_signal(program.ending)
            while self._running:
                program, process = self._running[-1]
                _end(process, program)
                self._running.pop()
        except StopAsked:
            say("Second request: ending everything now.")
            for _, process in self._running:
                _kill_session(process)
            self._running.clear()


def _end(process: subprocess.Popen[bytes], program: Program) -> None:
    process.send_signal(program.ending)
    try:
        process.wait(program.grace)
    except subprocess.TimeoutExpired:
        # To gunicorn and celery SIGQUIT means: let go of what you do, but leave in order.
        process.send_signal(signal.SIGQUIT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
    _kill_session(process)


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # children that a program left behind are in its session
    process.wait()


def _last_lines(log: Path, number: int = 8) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        return file.read().decode(errors="replace").splitlines()[-number:]
