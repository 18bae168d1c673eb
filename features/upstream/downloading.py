"""Downloads of files of other hubs: one of each file on a machine at a time, proven by digests."""

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from contextvars import copy_context
from pathlib import Path

from django.conf import settings
from django.db import connections

from features.upstream import asking, origins, store
from features.upstream.errors import UpstreamUnavailable, UpstreamWrong
from features.upstream.models import UpstreamRepository
from registry.bytes import blobs
from registry.bytes.blobs import Digest, Keys
from registry.kernel.errors import RegistryError, StoreUnavailable
from registry.repos.manifest import Entry

PIECE = 256 << 10
TRIES = 5  # of a download that breaks off, which goes on where it stopped
ABANDONED_SECONDS = 3600  # without a byte, after which a spool that nobody has locked goes
SLOWEST, SLOW_SECONDS = 1 << 10, 30  # bytes a second, after so many seconds

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
        if not origins.may_ask() or not _downloads.acquire(blocking=False):
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
        self.hub = origins.hub_of(repository)
        self.address = origins.file_path(repository, oid, entry.path)
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
            raise StoreUnavailable(f"The folder for files that arrive refuses: {problem.strerror}.") from None
        self.received += len(data)


def _folder() -> Path:
    folder = Path(settings.DATA) / "run" / "upstream"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def name_of(repository: UpstreamRepository, entry: Entry) -> str:
    """Return the name of the spool of a file."""
    return f"{repository.pk}-{store.etag_of(entry)}"
