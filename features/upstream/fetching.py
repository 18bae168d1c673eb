"""Fetching a file of another hub once, for everybody who waits for it, and proving it before anybody has all of it.

A thread writes what arrives to a spool file, which it holds locked; each request for the file follows the spool, in any
process of this machine. The last bytes are sent only after the digest was compared and a row says that the file is
here: of a file that is cut or not what its hub promised, every client gets a broken answer, and the store nothing.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import chain

from django.conf import settings

from features.upstream import downloading, store
from features.upstream.downloading import PIECE
from features.upstream.errors import UpstreamUnavailable
from features.upstream.models import UpstreamRepository
from registry.bytes import blobs
from registry.bytes.blobs import Keys
from registry.kernel.errors import RegistryError
from registry.kernel.limits.capacity import held_threads
from registry.repos.manifest import Entry

WITHHELD = 64 << 10  # bytes at the end that wait for the proof
LOOK_SECONDS = 0.01
FIRST_SECONDS = SMALL_SECONDS = 9.0  # the Hub's clients wait for ten

SLOW_SHARE = 2  # followers that wait for their clients, for each that may wait for another hub


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
        follower = Follower(repository, entry, downloading.spool_of(repository, oid, entry))
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
            failure = downloading.failures.get(downloading.name_of(self._repository, self._entry))
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
