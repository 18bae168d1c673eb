"""Keeps the warm parents of one worker, one for each engine and base; all processes of the worker share them.

The first process of a worker that needs an engine starts the keeper (sessions.py). Each of them connects for a
session and sends its three pipes; the keeper passes these on to the parent that the command stands for, and starts it
where there is none yet. A session ends with its connection, so with its worker process; a parent with its last
session; the keeper with its last parent. All of them die with the keeper. Standard library only: it holds no secret,
and opens no file of a stranger.
"""

import fcntl
import json
import os
import select
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

if not __package__:  # run as a script under -I, which puts no folder on the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from workers.engine import jail, work_folders

BLOCK = 1 << 16  # more than a request has bytes
PIPES = 3
WORDS_BYTES = 2000  # of a parent's standard error, kept from its end
OBEY_SECONDS = 5.0  # a parent that takes longer to end a session hangs
LAST_BREATH_SECONDS = 2.0  # a parent whose socket is closed ends within them
LINGER_SECONDS = 2.0  # the keeper waits so long for another engine, then ends
LOOK_SECONDS = 0.5
LOCK, SOCKET = "lock", "socket"  # names in the folder of the keeper
PEER = "3i"  # struct ucred: process, user, group


@dataclass(eq=False, slots=True)
class Parent:
    """A warm parent: its process, our end of its standard input, and its sessions by number."""

    command: tuple[str, ...]
    home: Path
    process: subprocess.Popen[bytes]
    control: socket.socket
    sessions: dict[int, "Session"] = field(default_factory=dict)
    words: bytes = b""


@dataclass(eq=False, slots=True)
class Session:
    """One worker process's share in a parent: `pid` is 0 until it is forked.

    `overdue` is the time by which the parent must have ended it, 0 while nobody wants its end.
    """

    link: socket.socket
    number: int
    parent: Parent
    pid: int = 0
    overdue: float = 0.0


@dataclass(eq=False, slots=True)
class Program:
    """A program that runs once; `ended` becomes readable at its end."""

    link: socket.socket
    process: subprocess.Popen[bytes]
    ended: int


class Keeper:
    """The loop: it waits for connections, for the words and answers of parents, and for the end of all of them."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        self.folder, self.listener = folder, listener
        self.parents: dict[tuple[str, ...], Parent] = {}
        self._opened = 0  # sessions, ever
        self._busy_at = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._watch(listener, self._accept)

    def run(self) -> None:
        """Work until no process of the worker wants an engine any more."""
        while not self._may_end():
            for key, _ in self._selector.select(LOOK_SECONDS):
                # An earlier step of this round may have ended it, and another process may have its number by now.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            self._end_hanging_parents()

    def _watch(self, source: Any, act: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, act)

    def _unwatch(self, source: Any) -> None:
        with suppress(KeyError):
            self._selector.unregister(source)

    def _may_end(self) -> bool:
        """Return whether there is nothing to keep. The lock is held by processes that connect, or start a keeper."""
        now = time.monotonic()
        if len(self._selector.get_map()) > 1:
            self._busy_at = now
        with suppress(FileNotFoundError):  # the worker ended, and removed the folder
            lock = os.open(self.folder / LOCK, os.O_RDWR)
            try:
                if now - self._busy_at < LINGER_SECONDS:
                    return False
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if select.select([self.listener], [], [], 0)[0]:
                    return False
                (self.folder / SOCKET).unlink()
            except BlockingIOError:
                return False
            finally:
                os.close(lock)
        return len(self._selector.get_map()) == 1

    # --- sessions ----------------------------------------------------------------------------------------------------
    def _accept(self) -> None:
        link = self.listener.accept()[0]
        _, user, _ = struct.unpack(PEER, link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(PEER)))
        if user != os.getuid():  # the folder is closed to other users; this holds where somebody opened it
            link.close()
            return
        self._watch(link, partial(self._open, link))

    def _open(self, link: socket.socket) -> None:
        """Read the one request of a connection, and give its pipes to the parent of that command, or to a program."""
        self._unwatch(link)
        message, pipes = _receive(link)
        try:
            match json.loads(message or "null"):
                case {"command": [*command]}:
                    self._begin(link, self._parent(tuple(command)), pipes)
                case {"program": [*command], "folder": str(folder)}:
                    self._start(link, command, Path(folder), pipes)
                case _:
                    link.close()
        except OSError as problem:
            _tell(link, missing=str(problem))
            link.close()
        for pipe in pipes:
            os.close(pipe)

    def _begin(self, link: socket.socket, parent: Parent, pipes: Sequence[int]) -> None:
        self._opened += 1
        session = parent.sessions[self._opened] = Session(link, self._opened, parent)
        self._watch(link, partial(self._close, session))
        _tell(link, parent=parent.process.pid, home=str(parent.home), sharers=len(parent.sessions))
        _send(parent.control, {"open": session.number}, pipes)

    def _close(self, session: Session) -> None:
        """End a session whose worker process has closed the connection, or is gone: it sends nothing else."""
        self._unwatch(session.link)
        _send(session.parent.control, {"end": session.number})
        if session.pid:
            session.overdue = time.monotonic() + OBEY_SECONDS
        else:  # the parent still starts, and will hardly have forked it when it ends it
            del session.parent.sessions[session.number]
            self._leave(session, "before it began")

    def _leave(self, session: Session, way: str) -> None:
        """Dismiss a session that is no longer its parent's, after the parent has ended where it was the last one."""
        if not session.parent.sessions:
            self._end(session.parent)
        self._dismiss(session, way)

    def _dismiss(self, session: Session, way: str, words: str = "") -> None:
        """Say how a session ended, and forget it."""
        self._unwatch(session.link)
        _tell(session.link, ended=way, words=words)
        session.link.close()

    # --- programs ----------------------------------------------------------------------------------------------------
    def _start(self, link: socket.socket, command: Sequence[str], folder: Path, pipes: Sequence[int]) -> None:
        """Start a program in a folder, with these pipes or files as its standard streams. Raises `OSError`."""
        process = _popen(command, folder, *pipes)
        program = Program(link, process, os.pidfd_open(process.pid))
        self._watch(link, partial(self._stop, program))
        self._watch(program.ended, partial(self._finish, program))
        _tell(link, parent=process.pid)

    def _stop(self, program: Program) -> None:
        """End a program and all that it started. Until it is reaped, its number stands for its group."""
        self._unwatch(program.link)
        with suppress(ProcessLookupError):
            os.killpg(program.process.pid, signal.SIGKILL)

    def _finish(self, program: Program) -> None:
        self._stop(program)
        self._unwatch(program.ended)
        os.close(program.ended)
        _tell(program.link, ended=_way(program.process.wait()))
        program.link.close()

    # --- parents -----------------------------------------------------------------------------------------------------
    def _parent(self, command: tuple[str, ...]) -> Parent:
        """Return the living parent of this command, else start one. Raises `OSError`."""
        if command in self.parents:
            return self.parents[command]
        home = work_folders.make("engine")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            process = _popen(command, home, theirs.fileno(), subprocess.PIPE, subprocess.STDOUT)
        except OSError:
            ours.close()
            work_folders.remove(home)
            raise
        finally:
            theirs.close()
        parent = self.parents[command] = Parent(command, home, process, ours)
        self._watch(process.stdout, partial(self._hear, parent))
        self._watch(ours, partial(self._answer, parent))
        return parent

    def _hear(self, parent: Parent) -> None:
        """Keep the last words of a parent."""
        assert parent.process.stdout is not None
        block = os.read(parent.process.stdout.fileno(), BLOCK)
        parent.words = (parent.words + block)[-WORDS_BYTES:]
        if not block:
            self._unwatch(parent.process.stdout)

    def _answer(self, parent: Parent) -> None:
        """Handle a message of a parent: a session was opened, or has ended."""
        match json.loads(_receive(parent.control)[0] or "null"):
            case {"opened": int() as number, "pid": int() as pid}:
                if session := parent.sessions.get(number):
                    session.pid = pid
                    _tell(session.link, session=pid)
            case {"ended": int() as number, "status": int() as status}:
                if session := parent.sessions.pop(number, None):
                    self._leave(session, _way(status))
            case _:
                with suppress(subprocess.TimeoutExpired):
                    parent.process.wait(LAST_BREATH_SECONDS)
                self._end(parent)

    def _end(self, parent: Parent) -> None:
        """End a parent, if it has not ended by itself, and all its sessions with it; remove its folder."""
        del self.parents[parent.command]
        parent.process.kill()
        way = _way(parent.process.wait())
        stdout = parent.process.stdout
        assert stdout is not None
        while stdout in self._selector.get_map() and select.select([stdout], [], [], 0)[0]:
            self._hear(parent)
        for source in (parent.control, stdout):
            self._unwatch(source)
            source.close()
        work_folders.remove(parent.home)
        for session in parent.sessions.values():
            self._dismiss(session, way, parent.words.decode(errors="replace"))

    def _end_hanging_parents(self) -> None:
        now = time.monotonic()
        for parent in list(self.parents.values()):
            if any(0 < session.overdue < now for session in parent.sessions.values()):
                self._end(parent)


def _popen(command: Sequence[str], folder: Path, stdin: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    """Start a process in a folder, which ends with this one. Raises `OSError`."""
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=folder,
        env=environment(folder),
        start_new_session=True,
        bufsize=0,
        preexec_fn=partial(jail.die_with_parent, os.getpid()),
    )


def environment(home: Path) -> dict[str, str]:
    """Return the whole environment of an engine: it holds no secret and no address of ours."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",  # forking is safe with one thread only
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def _way(status: int) -> str:
    """Return how a process ended, as a part of a sentence."""
    return f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"


def _receive(source: socket.socket) -> tuple[bytes, list[int]]:
    """Return a message and the descriptors that came with it; nothing where the other side has closed or is gone."""
    try:
        message, descriptors, _, _ = socket.recv_fds(source, BLOCK, PIPES)
    except ConnectionResetError:
        return b"", []
    return message, descriptors


def _send(target: socket.socket, document: Any, descriptors: Sequence[int] = ()) -> None:
    with suppress(OSError):  # it is gone, as the loop will see
        socket.send_fds(target, [json.dumps(document).encode()], descriptors)


def _tell(link: socket.socket, **document: object) -> None:
    _send(link, document)


def main(folder: str, listener: str, *readable: str) -> None:
    code = Path(__file__).resolve().parents[2]
    ours = [*(code / name for name in ("workers", "features", "client")), Path(sys.prefix), Path(sys.base_prefix)]
    jail.confine(code, [*ours, *map(Path, readable)], [Path(tempfile.gettempdir())])
    for number in (signal.SIGTERM, signal.SIGINT):  # sent to all processes of a service: those that work decide
        signal.signal(number, lambda *_: None)  # and not SIG_IGN, which parents would inherit
    with socket.socket(fileno=int(listener)) as server:
        Keeper(Path(folder), server).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
