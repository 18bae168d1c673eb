"""Fetching a file of another hub once, for everybody who waits for it, and proving it before anybody has all of it.

A thread writes what arrives to a spool file, which it holds locked; each request for the file follows the spool, in any
process of this machine. The last bytes are sent only after the digest was compared and a row says that the file is
here: of a file that is cut or not what its hub promised, every client gets a broken answer, and the store nothing.
"""

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from contextvars import copy_context
from itertools import chain
from pathlib import Path

from django.conf import settings
from django.db import connections

from features.upstream import asking, store
from features.upstream.asking import UpstreamUnavailable, UpstreamWrong
from features.upstream.models import UpstreamRepository
from registry.bytes import blobs
from registry.bytes.blobs import Digest, Keys
from registry.kernel.capacity import held_threads
from registry.kernel.errors import RegistryError, StoreUnavailable
from registry.repos.manifest import Entry

PIECE = 256 << 10
TRIES = 5  # of a download that breaks off, which goes on where it stopped
ABANDONED_SECONDS = 3600  # without a byte, after which a spool that nobody has locked goes
SLOWEST, SLOW_SECONDS = 1 << 10, 30  # bytes a second, after so many seconds
WITHHELD = 64 << 10  # bytes at the end that wait for the proof
LOOK_SECONDS = 0.01
FIRST_SECONDS = SMALL_SECONDS = 9.0  # the Hub's clients wait for ten
SLOW_SHARE = 2  # followers that wait for their clients, for each that may wait for another hub

_downloads = threading.BoundedSemaphore(settings.UPSTREAM.streams or 1)
failures: dict[str, RegistryError] = {}  # name of a spool → why the last download of it in this process failed


def spool_of(repository: UpstreamRepository, oid: str, entry: Entry) -> int:
    """Return a descriptor of the spool of a file, which somebody writes: a thread that begins now if nobody did."""
    path = _folder() / name_of(repository, entry)
    while True:
        writer = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(writer, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return writer  # somebody writes it: this descriptor only reads
        if not _is_at(path, writer):
            os.close(writer)  # the one before has just finished and taken it away
            continue
        with ExitStack() as undo:
            spool = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            undo.callback(os.close, spool)
            _begin(repository, oid, entry, path, writer)
            undo.pop_all()
            return spool


def _is_at(path: Path, file: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(file).st_ino
    except FileNotFoundError:
        return False


def _begin(repository: UpstreamRepository, oid: str, entry: Entry, path: Path, writer: int) -> None:
    """Start the thread that fetches; it owns the descriptor. Raises UpstreamUnavailable, UpstreamRefused."""
    with ExitStack() as undo:
        undo.callback(os.close, writer)
        undo.callback(path.unlink, missing_ok=True)
        _sweep()
        store.make_room(entry.size)
        if not asking.may_ask() or not _downloads.acquire(blocking=False):
            raise UpstreamUnavailable(f"This hub does not fetch {entry.path} of {repository.full_name} now.")
        undo.callback(_downloads.release)
        os.ftruncate(writer, 0)
        download = _Download(repository, oid, entry, path, writer)
        threading.Thread(target=copy_context().run, args=(download.run,), daemon=True, name="fetch").start()
        undo.pop_all()


def _sweep() -> None:
    """Remove the spools of processes that were killed: nobody has them locked."""
    before = time.time() - ABANDONED_SECONDS
    for path in _folder().iterdir():
        with ExitStack() as ends:
            try:
                if path.stat().st_mtime > before:
                    continue
                spool = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                ends.callback(os.close, spool)
                fcntl.flock(spool, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (FileNotFoundError, BlockingIOError):
                continue
            path.unlink(missing_ok=True)


class _Download:
    """One download: into the spool, through the digests, into the store."""

    def __init__(self, repository: UpstreamRepository, oid: str, entry: Entry, path: Path, writer: int) -> None:
        self.repository, self.entry, self.path, self.writer = repository, entry, path, writer
        self.hub = asking.hub_of(repository)
        self.address = asking.file_path(repository, oid, entry.path)
        self.sha256, self.git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % entry.size, usedforsecurity=False)
        self.received = 0

    def run(self) -> None:
        """Fetch the file. Followers wait for the end of the lock, and then look for the row."""
        name = name_of(self.repository, self.entry)
        failures.pop(name, None)
        try:
            self._keep()
        except RegistryError as error:
            if len(failures) > 1000:
                failures.clear()
            failures[name] = error
        finally:
            self.path.unlink(missing_ok=True)
            os.close(self.writer)  # ends the lock
            _downloads.release()
            connections.close_all()

    def _keep(self) -> None:
        if self.entry.is_lfs:
            blobs.store().put(Keys.blob(self.entry.sha256), self._arriving())
            digest = Digest(self.entry.sha256, self.entry.size)
        else:
            for _ in self._arriving():
                pass
            digest = Digest(self.sha256.hexdigest(), self.entry.size)
            blobs.store().put(Keys.blob(digest.sha256), self._spooled())
        if not store.record(self.repository, self.entry, digest):
            blobs.store().put(Keys.blob(digest.sha256), self._spooled())

    def _spooled(self) -> Iterator[bytes]:
        at = 0
        while data := os.pread(self.writer, PIECE, at):
            at += len(data)
            yield data

    def _arriving(self) -> Iterator[bytes]:
        """Yield what arrives, after it is in the spool. Raises UpstreamWrong for other bytes than promised."""
        began = time.monotonic()
        for left in reversed(range(TRIES)):
            try:
                yield from self._from(self.received, began)
            except UpstreamUnavailable:
                if not left or not self.received:
                    raise
                asking.forgive(self.hub)
            if self.received >= self.entry.size:
                break
        is_right = self.entry.sha256 == self.sha256.hexdigest() if self.entry.is_lfs else self._is_git_blob()
        if self.received != self.entry.size or not is_right:
            raise UpstreamWrong(f"{self.hub.url} sent other bytes for {self.entry.path} than it promised.")

    def _is_git_blob(self) -> bool:
        return self.git.hexdigest() == self.entry.git_oid

    def _from(self, start: int, began: float) -> Iterator[bytes]:
        with asking.open_file(self.hub, self.address, start) as response:
            while data := response.read1(PIECE):
                if self.received + len(data) > self.entry.size:
                    raise UpstreamWrong(f"{self.hub.url} sends more of {self.entry.path} than it promised.")
                self._write(data)
                yield data
                passed = time.monotonic() - began
                if passed > SLOW_SECONDS and self.received < SLOWEST * passed:
                    raise UpstreamWrong(f"{self.hub.url} sends {self.entry.path} too slowly.")
            if self.received < self.entry.size:
                raise UpstreamUnavailable(f"{self.hub.url} broke off in {self.entry.path}.")

    def _write(self, data: bytes) -> None:
        self.sha256.update(data)
        self.git.update(data)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self.writer, rest) :]
        except OSError as problem:
            raise StoreUnavailable(f"The folder for incoming files cannot be written: {problem.strerror}.") from None
        self.received += len(data)


def _folder() -> Path:
    folder = Path(settings.DATA) / "run" / "upstream"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def name_of(repository: UpstreamRepository, entry: Entry) -> str:
    """Return the name of the spool of a file."""
    return f"{repository.pk}-{store.etag_of(entry)}"


class BrokenOff(Exception):
    """A file was not what its hub promised, or did not come: the connection to the client ends before its last byte."""


class _Places:
    """The followers of this process: those that wait for other hubs are bounded, and all together less strictly.

    A follower whose client reads slower than the file arrives waits for that client alone, and others may begin.
    """

    def __init__(self, waiting: int) -> None:
        self._most_waiting, self._most = waiting, waiting * (1 + SLOW_SHARE)
        self._waiting = self._all = 0
        self._lock = threading.Lock()

    def enter(self) -> None:
        """Take a place, as one that waits for another hub. Raises UpstreamUnavailable."""
        with self._lock:
            has_room = self._waiting < self._most_waiting and self._all < self._most
            if not has_room or not held_threads.take():
                detail = "This hub already fetches many files of other hubs."
                raise UpstreamUnavailable(detail, fix="Try again in a minute.")
            self._waiting += 1
            self._all += 1

    def leave(self, *, is_waiting: bool) -> None:
        """Give a place back."""
        with self._lock:
            self._waiting -= is_waiting
            self._all -= 1
            held_threads.give_back()

    def change(self, *, is_waiting: bool) -> None:
        """Count somebody who has a place among those that wait for other hubs, or no more; nobody is sent away here."""
        with self._lock:
            self._waiting += 1 if is_waiting else -1


_places = _Places(settings.UPSTREAM.streams or 1)


def follow(repository: UpstreamRepository, oid: str, entry: Entry) -> "Follower":
    """Begin to fetch a file, or join those who wait for it. Raises UpstreamUnavailable if too many wait already."""
    _places.enter()
    with ExitStack() as undo:
        undo.callback(_places.leave, is_waiting=True)
        follower = Follower(repository, entry, spool_of(repository, oid, entry))
        undo.pop_all()
        return follower


class Follower:
    """Reads a spool file while a thread, here or in another process, writes it. `close` it in any case."""

    def __init__(self, repository: UpstreamRepository, entry: Entry, spool: int) -> None:
        self._repository, self._entry, self._spool = repository, entry, spool
        self._is_open = True
        self._is_done = False
        self._is_waiting = True  # for the other hub; else for the client

    def wait(self, seconds: float) -> None:
        """Wait until the file is here and proven. Raises UpstreamUnavailable, UpstreamWrong."""
        deadline = time.monotonic() + seconds
        while not self._ended():
            if time.monotonic() > deadline:
                raise UpstreamUnavailable(f"{self._entry.path} comes too slowly from {self._repository.origin}.")
            time.sleep(LOOK_SECONDS)
        self._require_proven()

    def wait_for_first(self) -> None:
        """Wait until bytes arrive, so that a hub that refuses is answered with a status. Raises as `wait` does."""
        deadline = time.monotonic() + FIRST_SECONDS
        while not os.fstat(self._spool).st_size:
            if self._ended():
                self._require_proven()
                return
            if time.monotonic() > deadline:
                raise UpstreamUnavailable(f"{self._entry.path} does not come from {self._repository.origin}.")
            time.sleep(LOOK_SECONDS)

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Yield bytes [start, end) as they arrive, the last ones after the proof. Raises BrokenOff."""
        try:
            before_proof = max(start, end - WITHHELD)
            while start < end:
                if not self._is_done and self._ended():
                    self._require_proven()
                most = end if self._is_done else before_proof
                data = os.pread(self._spool, min(PIECE, most - start), start) if start < most else b""
                if data:
                    start += len(data)
                    self._wait_for(is_hub=False)
                    yield data
                elif self._is_done:
                    raise BrokenOff
                else:
                    self._wait_for(is_hub=True)
                    time.sleep(LOOK_SECONDS)
        except RegistryError as error:
            raise BrokenOff(error.detail) from error
        finally:
            self.close()

    def _wait_for(self, *, is_hub: bool) -> None:
        if self._is_waiting != is_hub:
            self._is_waiting = is_hub
            _places.change(is_waiting=is_hub)

    def _ended(self) -> bool:
        """Return whether nobody writes any more: the writer holds a lock, which ends with it."""
        try:
            fcntl.flock(self._spool, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(self._spool, fcntl.LOCK_UN)
        return True

    def _require_proven(self) -> None:
        kept = store.find(self._repository, self._entry)
        if kept is None:
            failure = failures.get(name_of(self._repository, self._entry))
            if failure is not None:
                raise type(failure)(failure.detail, failure.fix)
            raise UpstreamUnavailable(f"{self._entry.path} did not come whole from {self._repository.origin}.")
        self._is_done = True
        path = blobs.store().local_path(Keys.blob(kept.sha256))
        if path is not None:  # a slow client must not keep the room of a spool that is deleted
            with suppress(FileNotFoundError), path.open("rb") as stored:
                os.dup2(stored.fileno(), self._spool, inheritable=False)

    def close(self) -> None:
        """Stop following; the download goes on for the others and the next ones."""
        if self._is_open:
            self._is_open = False
            os.close(self._spool)
            _places.leave(is_waiting=self._is_waiting)


class Body:
    """The body of a response: the server closes it even if the client goes before the first byte.

    It is made when its first bytes are here, because a server that has sent nothing yet can still answer with a status.
    Raises UpstreamUnavailable and UpstreamWrong.
    """

    def __init__(self, follower: Follower, start: int, end: int) -> None:
        self._follower = follower
        pieces = follower.pieces(start, end)
        try:
            first = next(pieces, b"")
        except BrokenOff as problem:
            if isinstance(problem.__cause__, RegistryError):
                raise problem.__cause__ from None
            raise UpstreamUnavailable("The file broke off.") from None
        self._pieces = chain((first,), pieces)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Stop following."""
        self._follower.close()
