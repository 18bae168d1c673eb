"""The one way in which files come to this machine: into the store, by their digests, going on where a line broke.

Large files come by HTTP ranges too, and not by Xet, which was measured (hf_xet 1.8, 100 MB of float32, 200 Mbit/s): it
keeps no chunks from one download to the next, so a second version of which 1 % has changed is 98.7 MB as the first is,
of 104.9 by HTTP. Both take as long, Xet needs 2 to 3 times the CPU, and what broke off begins again.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from dovetail.base.locks import LockedFile, Source
from dovetail.base.problems import Problem, interrupted, unreachable
from dovetail.base.transport import Transport
from dovetail.store.store import PIECE, Store, digest, require_space

AT_ONCE, TRIES, PARTIAL = 8, 5, 206
FIRST_WAIT_SECONDS = 1.0  # after a line that broke; doubled each time
ENDLESS = 1 << 40  # bytes to expect of a file whose size nobody states

Connect = Callable[[], Transport]
Progress = Callable[[str, int, int], None]  # path, bytes done, bytes in all


def ignore(path: str, done: int, size: int) -> None:
    """Ignore the progress of a download (the default)."""


def missing(sources: Iterable[Source], store: Store, *, reading: bool = False) -> list[Source]:
    """Return the sources, one for each digest, whose bytes are not here; the cache of huggingface_hub gives its own.

    With `reading` every byte of the store is read again.
    """
    by_digest = {source.file.sha256: source for source in sources}
    absent = [source for source in by_digest.values() if not store.has(source.file, reading=reading)]
    if not absent:
        return []
    from dovetail.store import hub_cache  # noqa: PLC0415  # imports huggingface_hub, which takes 0.3 s

    return [source for source in absent if not any(store.adopt(at, source.file) for at in hub_cache.places_of(source))]


def bring(sources: Sequence[Source], connect: Connect, store: Store, progress: Progress = ignore) -> int:
    """Download missing files into the store, several at a time; return how many bytes came. Raises Problem.

    On failure and on Ctrl-C no other file is begun, downloads stop, and what arrived is kept for the next time.
    """
    if not sources:
        return 0
    require_space([(store.folder, sum(source.file.size or 0 for source in sources))])
    job = _Job(connect(), store, progress)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(job.bring, source) for source in sources]
        try:
            for future in futures:
                future.result()
        finally:
            job.is_stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return job.came.total()


class _Job:
    """One download of several files."""

    def __init__(self, transport: Transport, store: Store, progress: Progress) -> None:
        self.transport, self.store, self.progress = transport, store, progress
        self.is_stopped = threading.Event()
        self.came: Counter[str] = Counter()  # sha256 → bytes; each file has one thread
        self._has_answered = False

    def bring(self, source: Source) -> None:
        sha256 = source.file.sha256
        part = self.store.part(sha256)
        try:
            self._receive_patiently(source, part)
            _require_digest(source.file, part)
            self.store.take(part, sha256)
        finally:
            self.store.keep_part(part, sha256)  # what is left of it, if it was not taken

    def _receive_patiently(self, source: Source, part: Path) -> None:
        """Try again when the line breaks. A hub that has not answered once is away, and not waited for."""
        for attempt in range(TRIES):
            try:
                self._receive(source, part)
                return
            except Problem as problem:
                if problem.code != "client-unreachable" or not self._has_answered or attempt == TRIES - 1:
                    raise
            if self.is_stopped.wait(FIRST_WAIT_SECONDS * 2**attempt):
                raise interrupted()

    def _receive(self, source: Source, part: Path) -> None:
        """Ask for the bytes that are not here. Raises Problem, also when the line breaks."""
        file, at = source.file, part.stat().st_size
        size = ENDLESS if file.size is None else file.size
        if at and at == file.size:
            return
        with self.transport.download(source, at if at < size else 0, self.is_stopped) as answer:
            self._has_answered = True
            at = at if answer.status == PARTIAL else 0
            with part.open("r+b") as out:
                out.truncate(at)
                out.seek(at)
                # One byte more than is stated is enough to see that the file is too long.
                while piece := _next_piece(self.transport, answer, min(PIECE, size + 1 - at)):
                    if self.is_stopped.is_set():
                        raise interrupted()
                    out.write(piece)
                    at += len(piece)
                    self.came[file.sha256] += len(piece)
                    self.progress(file.path, min(at, size), size)
            if file.size is not None and at < file.size and answer.length != 0 and not answer.chunked:
                raise unreachable(self.transport.endpoint, f"the download of {file.path} broke off at {at:,} bytes")


def _next_piece(transport: Transport, answer: HTTPResponse, size: int) -> bytes:
    try:
        return answer.read(size)
    except (OSError, HTTPException) as error:
        reason = f"the download broke off ({str(error) or type(error).__name__})"
        raise unreachable(transport.endpoint, reason) from None


def _require_digest(file: LockedFile, part: Path) -> None:
    arrived, size = digest(part), part.stat().st_size
    if arrived != file.sha256:
        part.unlink()  # going on with it would never end well
        raise mismatch(file, size, arrived)


def mismatch(file: LockedFile, size: int, arrived: str) -> Problem:
    """Return the problem of bytes that are not those of the manifest or the lock."""
    came = f"{size:,} bytes" if file.size not in (None, size) else f"bytes with the sha256 {arrived[:12]}…"
    stated = f"sha256 {file.sha256[:12]}…" if file.size is None else f"{file.size:,} bytes, {file.sha256[:12]}…"
    return Problem(
        f"{file.path} arrived as {came}, not as stated ({stated}).",
        "Nothing was written. Run the same command again; if it happens again, tell the hub's administrator.",
        code="client-digest-mismatch",
    )
