"""The one way in which files come to this machine: into the store, by their digests, going on where a line broke.

Large files come by HTTP ranges too, and not by Xet, which was measured (hf_xet 1.8, 100 MB of float32, 200 Mbit/s): it
keeps no chunks from one download to the next, so a second version of which 1 % has changed is 98.7 MB as the first is,
of 104.9 by HTTP. Both take as long, Xet needs 2 to 3 times the CPU, and what broke off begins again.

The files of a manifest are put into a folder all or none: every byte is hashed before it is moved into place.
"""

import contextlib
import hashlib
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dovetail import ids
from dovetail.locks import LockedFile, Source
from dovetail.problems import Problem, interrupted, no_hub, unreachable, usage
from dovetail.store.store import PIECE, Store, digest, link, require_space
from dovetail.transport import READ_ERRORS, Response, Transport

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
                while piece := self._next_piece(answer, file.path, min(PIECE, size + 1 - at)):
                    if self.is_stopped.is_set():
                        raise interrupted()
                    out.write(piece)
                    at += len(piece)
                    self.came[file.sha256] += len(piece)
                    self.progress(file.path, min(at, size), size)

    def _next_piece(self, answer: Response, path: str, size: int) -> bytes:
        try:
            return answer.read1(size)  # `read` would lose what came before a line broke
        except READ_ERRORS:
            raise unreachable(self.transport.endpoint, f"the download of {path} was interrupted") from None


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
        f"{file.path} arrived as {came}, but should be {stated}.",
        "Nothing was written. Run the same command again; if it happens again, tell the hub's administrator.",
        code="client-digest-mismatch",
    )


_SHAPE = {"path": str, "size": int, "sha256": str}


@dataclass(frozen=True)
class ManifestFile:
    """A file as the manifest states it; size in bytes."""

    path: PurePosixPath
    size: int
    sha256: str
    is_lfs: bool = False  # then its ETag on the Hub's routes is its sha256


def parse_files(files: Sequence[Any], include: Sequence[str] = (), exclude: Sequence[str] = ()) -> list[ManifestFile]:
    """Return the files of a manifest that the patterns choose.

    Raises Problem for one that must not be written, and where patterns leave none.
    """
    if not all(isinstance(file, dict) and {key: type(file.get(key)) for key in _SHAPE} == _SHAPE for file in files):
        raise Problem(
            "The hub's manifest is malformed.", "Check --endpoint or DOVETAIL_ENDPOINT.", code="client-no-hub"
        )
    chosen = [file for file in files if ids.is_chosen(file["path"], include, exclude)]
    if files and not chosen:
        raise usage("The patterns leave no file to pull.", "Change --include and --exclude.")
    checked = ids.check_paths(file["path"] for file in chosen)
    return [
        ManifestFile(path, file["size"], file["sha256"], file.get("lfs") is True)
        for path, file in zip(checked, chosen, strict=True)
    ]


@dataclass(frozen=True)
class Origin:
    """The revision that files come from, and the hub that has it."""

    transport: Transport
    adapter: str
    revision: str

    def of(self, file: ManifestFile) -> Source:
        """Return where the bytes of one of its files are."""
        return Source(self.adapter, self.revision, LockedFile(str(file.path), file.sha256, file.size))


def missing_files(files: Sequence[ManifestFile], to: Path) -> list[ManifestFile]:
    """Return the files that are not in a folder with their bytes. Raises Problem if it is no folder."""
    if to.exists() and not to.is_dir():
        raise usage(f"{to} is a file.", "Name a folder with --to.")
    return [file for file in files if digest_of(to / file.path, file.size) != file.sha256]


def digest_of(place: Path, size: int) -> str | None:
    """Return the sha256 of a file of this size; None where there is none, or it is a link."""
    if place.is_symlink() or not place.is_file() or place.stat().st_size != size:
        return None
    with place.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(
    origin: Origin,
    files: Sequence[ManifestFile],
    to: Path,
    store: Store,
    progress: Progress = ignore,
    *,
    is_linked: bool = False,
) -> Path:
    """Write the files below `to` and return it. A new folder appears at once; in an existing one each file is replaced.

    Nothing is moved before every file has arrived with its size and sha256. With `is_linked` the files are hard links
    to the store where the file system allows. Raises Problem.
    """
    if not ids.is_commit(origin.revision):  # it becomes part of a path
        raise no_hub(origin.transport.endpoint)
    needed = missing_files(files, to)
    if not needed:
        to.mkdir(parents=True, exist_ok=True)
        return to
    to.parent.mkdir(parents=True, exist_ok=True)
    wanted = {file.path: origin.of(file) for file in needed}
    _bring(origin, wanted, store, to.parent, progress, is_linked=is_linked)
    with tempfile.TemporaryDirectory(prefix=f".{to.name}-", dir=to.parent) as folder:
        stage = Path(folder) / "files"  # not the temporary folder itself, whose mode only lets this user in
        stage.mkdir()
        for path, place in wanted.items():
            _take(origin, place, store, stage / path, is_linked=is_linked)
        _share(needed, wanted, store)
        _move(stage, [file.path for file in needed], to)
    return to


def _bring(
    origin: Origin,
    wanted: Mapping[PurePosixPath, Source],
    store: Store,
    folder: Path,
    progress: Progress,
    *,
    is_linked: bool,
) -> None:
    """Bring what the store lacks, if there is room for it and for all copies."""
    from dovetail.store import hub_cache  # noqa: PLC0415  # imports huggingface_hub, which takes 0.3 s

    absent = missing(wanted.values(), store)
    size = _size(wanted.values())
    needs = [(store.folder, _size(absent))]
    needs += [(hub_cache.folder(), size)] if not store.is_beside(hub_cache.folder()) else []
    needs += [(folder, size)] if not (is_linked and store.is_beside(folder)) else []
    require_space(needs)
    bring(absent, lambda: origin.transport, store, progress)
    for place in wanted.values():
        progress(place.file.path, place.file.size or 0, place.file.size or 0)


def _size(sources: Iterable[Source]) -> int:
    return sum(source.file.size or 0 for source in sources)


def _share(files: Sequence[ManifestFile], wanted: Mapping[PurePosixPath, Source], store: Store) -> None:
    """Let `from_pretrained` find the files, too."""
    from dovetail.store import hub_cache  # noqa: PLC0415  # as in _bring

    for file in files:
        hub_cache.share(wanted[file.path], store, is_lfs=file.is_lfs)


def _take(origin: Origin, wanted: Source, store: Store, to: Path, *, is_linked: bool) -> None:
    """Put a file of the store at a place. One whose bytes are wrong is downloaded once more. Raises Problem."""
    to.parent.mkdir(parents=True, exist_ok=True)
    file = wanted.file
    for is_last in (False, True):
        size, digest = _copy(store.place(file.sha256), to, file, is_linked=is_linked)
        if (size, digest) == (file.size, file.sha256):
            return
        to.unlink(missing_ok=True)
        store.drop(file)
        if is_last:
            raise mismatch(file, size, digest)
        bring(missing([wanted], store), lambda: origin.transport, store)


def _copy(source: Path, to: Path, wanted: LockedFile, *, is_linked: bool) -> tuple[int, str]:
    """Copy a file, or link it; return its size (at most one byte more than is wanted) and its sha256."""
    digest, done = hashlib.sha256(), 0
    with source.open("rb") as file, to.open("xb") if not is_linked else contextlib.nullcontext() as out:
        while piece := file.read(min(PIECE, (wanted.size or 0) + 1 - done)):
            digest.update(piece)
            done += len(piece)
            if out:
                out.write(piece)
    if is_linked:
        link(source, to, wanted.sha256)
    return done, digest.hexdigest()


def _move(stage: Path, files: Sequence[PurePosixPath], to: Path) -> None:
    if not to.exists():
        stage.rename(to)
        return
    home = to.resolve()
    for file in files:
        place = to / file
        place.parent.mkdir(parents=True, exist_ok=True)
        # A link inside the folder could lead the write anywhere.
        if not place.parent.resolve().is_relative_to(home):
            raise usage(f"{place.parent} is a link that leaves {to}.", "Pull into another folder with --to.")
        (stage / file).replace(place)
