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
from contextlib import ExitStack

from django.conf import settings

from registry.kernel.errors import RegistryError, UpstreamUnavailable
from registry.models import UpstreamRepository
from registry.repos.manifest import Entry
from registry.upstream import downloading, store
from registry.upstream.downloading import PIECE

WITHHELD = 64 << 10  # bytes at the end that wait for the proof
LOOK_SECONDS = 0.01
FIRST_SECONDS = SMALL_SECONDS = 9.0  # the Hub's clients wait for ten

_followers = threading.BoundedSemaphore(settings.UPSTREAM.streams or 1)


class BrokenOff(Exception):
    """A file was not what its hub promised, or did not come: the connection to the client ends before its last byte."""


def follow(repository: UpstreamRepository, oid: str, entry: Entry) -> "Follower":
    """Begin to fetch a file, or join those who wait for it. Raises UpstreamUnavailable if too many wait already."""
    if not _followers.acquire(blocking=False):
        raise UpstreamUnavailable("This hub already fetches many files of other hubs.", fix="Try again in a minute.")
    with ExitStack() as undo:
        undo.callback(_followers.release)
        follower = Follower(repository, entry, downloading.spool_of(repository, oid, entry))
        undo.pop_all()
        return follower


class Follower:
    """Reads a spool file while a thread, here or in another process, writes it. `close` it in any case."""

    def __init__(self, repository: UpstreamRepository, entry: Entry, spool: int) -> None:
        self._repository, self._entry, self._spool = repository, entry, spool
        self._is_open = True
        self._is_done = False

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
                most = end if self._is_done else before_proof
                data = os.pread(self._spool, min(PIECE, most - start), start) if start < most else b""
                if data:
                    start += len(data)
                    yield data
                elif self._is_done:
                    raise BrokenOff
                elif self._ended():
                    self._require_proven()
                else:
                    time.sleep(LOOK_SECONDS)
        except RegistryError as error:
            raise BrokenOff(error.detail) from None
        finally:
            self.close()

    def _ended(self) -> bool:
        """Return whether nobody writes any more: the writer holds a lock, which ends with it."""
        try:
            fcntl.flock(self._spool, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(self._spool, fcntl.LOCK_UN)
        return True

    def _require_proven(self) -> None:
        if store.find(self._repository, self._entry) is None:
            failure = downloading.failures.get(downloading.name_of(self._repository, self._entry))
            if failure is not None:
                raise type(failure)(failure.detail, failure.fix)
            raise UpstreamUnavailable(f"{self._entry.path} did not come whole from {self._repository.origin}.")
        self._is_done = True

    def close(self) -> None:
        """Stop following; the download goes on for the others and the next ones."""
        if self._is_open:
            self._is_open = False
            os.close(self._spool)
            _followers.release()


class Body:
    """The body of a response: the server closes it even if the client goes before the first byte."""

    def __init__(self, follower: Follower, start: int, end: int) -> None:
        self._follower = follower
        self._pieces = follower.pieces(start, end)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Stop following."""
        self._follower.close()
