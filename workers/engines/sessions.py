"""One process's session on a warm parent that all processes of its worker share; the keeper (keeper.py) has these.

The keeper listens on a socket in a folder that is chosen before the processes are forked. The first one that needs an
engine starts it there, and so does the first one after it has died.
"""

import atexit
import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from workers.engine import work_folders
from workers.engines import keeper

ANSWER_SECONDS = 60.0  # for which a keeper is waited for on a busy machine
END_SECONDS = 30.0  # for which the end of a session is waited for; a parent that hangs is ended before that
LEAVE_SECONDS = 2.0  # for which the end of an idle keeper is waited for
WAITING = 64  # connections that a keeper has not accepted yet
WITH_ITS_KEEPER = "with the keeper of engines"
WELL = "with status 0"


class Unopened(Exception):
    """No session can be opened; the message is a part of a sentence."""


class Place:
    """The folder of the keeper's socket, closed to other users; forked processes inherit it."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._owner = 0
        self.also: tuple[Path, ...] = ()  # folders that engines of tests read
        self._started: list[subprocess.Popen[bytes]] = []  # kept, so that their end is noticed

    def folder(self) -> Path:
        """Return the folder; a process without one, or whose worker has removed it, makes its own."""
        if self._folder is None or not self._folder.exists():
            self._folder, self._owner = work_folders.make("keeper"), os.getpid()
            atexit.register(self.leave)
        return self._folder

    def leave(self) -> None:
        """Remove the folder if this process made it; then the keeper ends with its last engine."""
        if self._folder is not None and self._owner == os.getpid():
            work_folders.remove(self._folder)
            self._folder = None
            for process in self._started:
                with suppress(subprocess.TimeoutExpired):  # another process may use an engine of it
                    process.wait(LEAVE_SECONDS)

    def connect(self) -> socket.socket:
        """Return a connection to the keeper, which is started if there is none."""
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ExitStack() as fault:
            fault.callback(link.close)
            with self._locked() as address:
                try:
                    link.connect(address)
                except (FileNotFoundError, ConnectionRefusedError):
                    self._start(address)
                    link.connect(address)
            fault.pop_all()
        return link

    @contextmanager
    def _locked(self) -> Iterator[str]:
        """Be the only process that connects or starts a keeper; yield the address of the keeper's socket."""
        folder = self.folder()
        place = os.open(folder, os.O_PATH)
        try:
            with (folder / keeper.LOCK).open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield f"/proc/self/fd/{place}/{keeper.SOCKET}"  # the path of a socket has 107 bytes at most
        finally:
            os.close(place)

    def _start(self, address: str) -> None:
        """Start a keeper that already listens, in a session of its own: signals of a terminal are for the worker."""
        self._started = [process for process in self._started if process.poll() is None]
        Path(address).unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(address)
            listener.listen(WAITING)
            command = [sys.executable, "-I", "-S", keeper.__file__, str(self.folder()), str(listener.fileno())]
            command += map(str, (*_of_engines(), *self.also))
            self._started.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                    pass_fds=[listener.fileno()],
                    env={"TMPDIR": tempfile.gettempdir(), "LANG": "C.UTF-8"},
                )
            )


PLACE = Place()


def _of_engines() -> list[Path]:
    """Return the base cache, which must be there to be named, and the folders of the engines and their Pythons."""
    with suppress(OSError):  # a worker may not be allowed to write there
        settings.SHELF.mkdir(parents=True, exist_ok=True)
    pythons = list(settings.ENGINES.glob("*/bin/python"))
    return [settings.SHELF, *(place.parents[1] for python in pythons for place in (python, python.resolve()))]


class Running:
    """A program that the keeper runs for this process while this connection is open, and the message of its end."""

    def __init__(self, request: Mapping[str, Any], pipes: Sequence[int]) -> None:
        """Send a request with three pipes, and keep its answer. Raises `Unopened` and `OSError`."""
        self.words = ""  # the last ones of a parent that died
        self._end: str | None = None
        with ExitStack() as fault:
            self._link = fault.enter_context(PLACE.connect())
            self._link.settimeout(ANSWER_SECONDS)
            with suppress(BrokenPipeError):  # the answer is missing too
                socket.send_fds(self._link, [json.dumps(request).encode()], pipes)
            self.answer = self._receive()
            if "parent" not in self.answer:
                raise Unopened(str(self.answer.get("missing", "their keeper has died")))
            self._pid = int(self.answer["parent"])
            fault.pop_all()

    @property
    def pid(self) -> int:
        """The process id of what runs."""
        self._look()
        return self._pid

    @property
    def end(self) -> str | None:
        """The way in which it ended; None while it runs."""
        self._look()
        return self._end

    def wait(self, seconds: float) -> str | None:
        """Wait for the end at most so long, and return how it ended."""
        deadline = time.monotonic() + seconds
        while self._end is None and (left := deadline - time.monotonic()) > 0:
            self._look(left)
        return self._end

    def close(self) -> None:
        """End what runs and all it started, and wait for the end of it; harmless if repeated."""
        with suppress(OSError):
            self._link.shutdown(socket.SHUT_WR)
        self.wait(END_SECONDS)
        self._end = self._end or WITH_ITS_KEEPER
        self._link.close()

    def _look(self, seconds: float = 0.0) -> None:
        """Take the news that have come, or that come within some seconds."""
        while self._end is None and select.select([self._link], [], [], seconds)[0]:
            seconds = 0.0
            news = self._receive()
            self._pid = news.get("session", self._pid)
            if "session" not in news:
                self._end, self.words = news.get("ended", WITH_ITS_KEEPER), news.get("words", "")

    def _receive(self) -> Mapping[str, Any]:
        """Return one message of the keeper, an empty one if it is gone."""
        try:
            return dict(json.loads(self._link.recv(keeper.BLOCK) or b"{}"))
        except (ConnectionResetError, TimeoutError):
            return {}


class Session(Running):
    """A session on the parent of a command: the three pipes of a process, and the message of its end."""

    def __init__(self, command: Sequence[str]) -> None:
        """Ask for a session and return before it begins. Raises `Unopened` and `OSError`."""
        with ExitStack() as fault:
            theirs, (self.stdin, self.stdout, self.stderr) = _pipes(fault)
            try:
                super().__init__({"command": list(command)}, theirs)
            finally:
                for pipe in theirs:
                    os.close(pipe)
            self.parent = self._pid
            self.home, self.sharers = Path(self.answer["home"]), int(self.answer["sharers"])
            fault.pop_all()

    @property
    def pid(self) -> int:
        """Its process id; the parent's until it is forked, which the parent does when it is warm."""
        return super().pid

    def wait_for_fork(self) -> None:
        """Wait for the news of the fork, which the session's own first words may overtake."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while self._pid == self.parent and self._end is None and (left := deadline - time.monotonic()) > 0:
            self._look(left)

    def close(self) -> None:
        super().close()
        for pipe in (self.stdin, self.stdout, self.stderr):
            pipe.close()


@contextmanager
def program(
    command: Sequence[str], folder: Path, stdout: IO[bytes] | None = None, stderr: IO[bytes] | None = None
) -> Iterator[Running]:
    """Run a program in a folder beside the engines; at the end of the block it is ended. Raises `OSError`.

    Its output goes into these files, or nowhere.
    """
    with Path(os.devnull).open("r+b") as nothing:
        streams = [file.fileno() for file in (nothing, stdout or nothing, stderr or nothing)]
        try:
            running = Running({"program": list(command), "folder": str(folder)}, streams)
        except Unopened as problem:
            raise OSError(f"A program could not be started: {problem}.") from problem
    try:
        yield running
        if running.end == WITH_ITS_KEEPER:
            raise OSError("The keeper of engines ended, and a program with it.")
    finally:
        running.close()


def _pipes(fault: ExitStack) -> tuple[list[int], list[IO[bytes]]]:
    """Return the ends of three pipes for a session, and ours; these are closed at a fault."""
    (stdin, write), (read, stdout), (listen, stderr) = os.pipe(), os.pipe(), os.pipe()
    ours: list[IO[bytes]] = [os.fdopen(write, "wb", 0), os.fdopen(read, "rb", 0), os.fdopen(listen, "rb", 0)]
    for pipe in ours:
        fault.callback(pipe.close)
    return [stdin, stdout, stderr], ours
