"""A warm parent serves several worker processes: for each of them it forks a session, which shares its memory.

The keeper (keeper.py) sends its requests through a socket, the standard input of the parent: a session is
opened with the pipes of a worker process, or ended. A session works as an engine of one worker process does, with
jailed children of its own; the parent reads nothing but the keeper's requests. Standard library only.

The pipes of an engine are here too: the jobs that a worker sends, and the answers to it. Forking is cheap since this
process's memory is moved into huge pages, whose page table a fork copies fast: with MiniLM a fork takes 8 ms of CPU
time instead of 21, and comparing the base takes half the time. Without huge pages in the kernel everything works, only
slower.
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from workers.engine import jail, work_folders

HERE = Path(__file__).resolve().parents[3]
CODE = (HERE / "workers", HERE / "features", HERE / "client/src/dovetail")  # what a jailed child may read of ours
NAME = Path(sys.prefix).name  # the engine's name is the folder of its interpreter: .engines/e5
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_DEACTIVATE_ASYNC_LOAD": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
REQUEST_BYTES = 1 << 12  # more than a request has bytes
PIPES = 3  # standard input, output and error of a session


@dataclass(frozen=True, slots=True)
class Living:
    """A forked session; `ended` becomes readable at its end."""

    pid: int
    ended: int
    folder: Path


@dataclass(slots=True)
class Sessions:
    """The sessions of this process by the keeper's numbers."""

    keeper: socket.socket
    serve: Callable[[], None]
    living: dict[int, Living] = field(default_factory=dict)

    def run(self) -> None:
        """Open and end sessions as the keeper asks; return when it wants no more of this parent."""
        while True:
            waiting = [self.keeper.fileno(), *(session.ended for session in self.living.values())]
            ready = select.select(waiting, [], [])[0]
            for number in [number for number, session in self.living.items() if session.ended in ready]:
                self._reap(number)
            if self.keeper.fileno() in ready and not self._obey():
                return

    def _obey(self) -> bool:
        """Do as one request says; return False where the keeper has closed the socket."""
        message, pipes, _, _ = socket.recv_fds(self.keeper, REQUEST_BYTES, PIPES)
        if not message:
            return False
        match json.loads(message):
            case {"open": int() as number}:
                self._open(number, pipes)
            case {"end": int() as number} if number in self.living:  # else it has ended by itself in the meantime
                signal.pidfd_send_signal(self.living[number].ended, signal.SIGKILL)
        return True

    def _open(self, number: int, pipes: Sequence[int]) -> None:
        """Fork a session; its process group, which holds its jailed children, has its process id as its number."""
        if jail.threads() != 1:
            raise RuntimeError("an engine with more than one thread must not fork")
        folder, parent = Path.cwd() / str(number), os.getpid()
        folder.mkdir(mode=0o700)
        pid = os.fork()
        if pid == 0:
            with ExitStack() as process:
                process.push(_leave)
                os.setsid()
                jail.die_with_parent(parent)
                _settle(folder, pipes)
                self.serve()
        for pipe in pipes:
            os.close(pipe)
        self.living[number] = Living(pid, os.pidfd_open(pid), folder)
        self._tell(opened=number, pid=pid)

    def _reap(self, number: int) -> None:
        session = self.living.pop(number)
        with suppress(ProcessLookupError):  # it was ended before it had a group of its own
            os.killpg(session.pid, signal.SIGKILL)  # its children; until it is reaped, the number stands for its group
        status = os.waitstatus_to_exitcode(os.waitpid(session.pid, 0)[1])
        os.close(session.ended)
        work_folders.remove(session.folder)
        self._tell(ended=number, status=status)

    def _tell(self, **document: Any) -> None:
        self.keeper.send(json.dumps(document).encode())


def fork_sessions(serve: Callable[[], None]) -> None:
    """Call `serve` in a forked session for each worker process that wants this parent; return when none does."""
    with socket.socket(fileno=os.dup(0)) as keeper:
        Sessions(keeper, serve).run()


def _settle(folder: Path, pipes: Sequence[int]) -> None:
    """Make the pipes the standard streams, close all that belongs to the parent, and work in a folder of our own."""
    for standard, pipe in enumerate(pipes):
        os.dup2(pipe, standard)
    jail.close_all_but(set(range(PIPES)))
    os.chdir(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def _leave(kind: object, problem: BaseException | None, trace: object) -> None:
    """End this process with the words and the status that the interpreter would choose.

    The interpreter's own clean-up would copy most of the memory that is shared with the parent.
    """
    status: object = 0
    if isinstance(problem, SystemExit):
        status = problem.code or 0
    elif problem is not None:
        status = "".join(traceback.format_exception(problem)).rstrip()
    if not isinstance(status, int):
        sys.stderr.write(f"{status}\n")
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


JOB_BLOCK = 1 << 16
Voice = TextIO  # what is written there reaches the worker, line by line


def take_voice() -> Voice:
    """Return the standard output for answers alone: what is printed from now on goes to the standard error."""
    voice = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return voice


def jobs(idle_seconds: float) -> Iterator[Mapping[str, Any]]:
    """Yield one job after another; end when the worker has closed the pipe, or after so many seconds without a job.

    With 0 it is waited for ever.
    """
    source, buffer = sys.stdin.fileno(), b""
    while True:
        if not buffer and not select.select([source], [], [], idle_seconds or None)[0]:
            return
        block = os.read(source, JOB_BLOCK)
        if not block:
            return
        *lines, buffer = (buffer + block).split(b"\n")
        yield from (json.loads(line)["job"] for line in lines)


HUGE = 2 * 2**20
MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25  # linux/include/uapi/asm-generic/mman-common.h; collapsing needs Linux 6.1


def gather() -> None:
    """Ask the kernel for huge pages under all private memory; a refusal is ignored."""
    libc = ctypes.CDLL(None)
    for start, end in _own_regions():
        start, end = -(-start // HUGE) * HUGE, end // HUGE * HUGE
        for advice in (MADV_HUGEPAGE, MADV_COLLAPSE) if end > start else ():
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), advice)


def _own_regions() -> Iterator[tuple[int, int]]:
    """Yield the address ranges of writable anonymous memory (proc_pid_maps(5))."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split()
        if fields[1] == "rw-p" and (len(fields) == 5 or fields[5] == "[heap]"):
            start, end = fields[0].split("-")
            yield int(start, 16), int(end, 16)
