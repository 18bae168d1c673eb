"""Makes a folder equal to a lock: missing files come into the shared cache, then the folder changes as a whole."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import quote

from dovetail import laying_out, lock_files, trees
from dovetail.fetching import Progress, ignore
from dovetail.laying_out import LaidOut, Origin
from dovetail.locks import Lock, LockedAdapter, LockedFile
from dovetail.problems import Problem, unreachable
from dovetail.store import PIECE, Store
from dovetail.transport import Transport

AT_ONCE, TRIES = 8, 4
PARTIAL = 206

Connect = Callable[[], Transport]


@dataclass(frozen=True)
class Synced:
    """The result of a sync: ids of adapters as NS/NAME@commit, and how many bytes came from the hub.

    For the layout of an engine: what it does not serve, with the reasons, and the options to start it with.
    """

    folder: Path
    is_changed: bool
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    downloaded: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)
    start: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A file that may be missing, and the Hub route that has its bytes."""

    file: LockedFile
    route: str


def sync(
    lock: Lock, to: Path, connect: Connect, cache: Store, *,
    with_bases: bool = False, is_verified: bool = False, layout: str = "", progress: Progress = ignore,
) -> Synced:  # fmt: skip
    """Make the folder equal to the lock in one step; the hub is asked for missing bytes alone. Raises Problem, OSError.

    With `is_verified` every byte that is here is read again, in the folder and in the cache. With `layout` the folder
    is arranged for an engine, and holds what it serves.
    """
    lock_files.check_places(lock, "The lock")
    to = to.parent.resolve() / to.name
    trees.require_ours(to)
    fetcher = _Fetcher(connect, cache, progress, is_verified=is_verified)
    laid_out = laying_out.lay_out(lock, layout, to) if layout else LaidOut()
    wanted = _laid_out_files(laid_out) if layout else _wanted(lock, with_bases=with_bases)
    places = {place: source.file for place, source in wanted.items()}
    places |= laying_out.make(lock, laid_out, cache, fetcher.origins)
    if trees.is_equal(to, places, lock.text(), reading=is_verified) and not trees.leftovers(to):
        return Synced(to, False, downloaded=fetcher.came, left_out=laid_out.left_out, start=laid_out.start)
    with trees.exclusive(to):
        before = _ids(old.adapters if (old := trees.record(to)) else ())
        here = trees.whole_files(to, places, reading=is_verified) if to.is_dir() else set()
        fetcher.sources(source for place, source in wanted.items() if place not in here)
        trees.replace(to, places, lock.text(), cache, reading=is_verified)
    after = _ids(lock.adapters)
    return Synced(
        to, True, tuple(sorted(after - before)), tuple(sorted(before - after)),
        fetcher.came, laid_out.left_out, laid_out.start,
    )  # fmt: skip


def differs(
    lock: Lock, to: Path, connect: Connect, cache: Store, *,
    with_bases: bool = False, is_verified: bool = False, layout: str = "",
) -> bool:  # fmt: skip
    """Return whether a sync would change the folder. For llama.cpp, GGUF files are made in the cache to compare."""
    laid_out = laying_out.lay_out(lock, layout, to) if layout else LaidOut()
    wanted = _laid_out_files(laid_out) if layout else _wanted(lock, with_bases=with_bases)
    places = {place: source.file for place, source in wanted.items()}
    places |= laying_out.make(lock, laid_out, cache, _Fetcher(connect, cache, ignore).origins)
    return not trees.is_equal(to, places, lock.text(), reading=is_verified)


def _ids(entries: Iterable[LockedAdapter]) -> set[str]:
    return {f"{entry.adapter}@{entry.revision}" for entry in entries}


def _wanted(lock: Lock, *, with_bases: bool) -> dict[str, Source]:
    """Return place → file of all adapters, and of their bases if wanted. Raises Problem for a base without digests."""
    wanted = {
        f"{entry.folder}/{file.path}": Source(file, _route(entry.adapter, entry.revision, file))
        for entry in lock.adapters
        for file in entry.files
    }
    for base in lock.bases if with_bases else ():
        if not base.files:
            raise Problem(
                f"The lock has no digests of the base {base.id} at {base.revision or base.sha256[:12]}: the hub held "
                "another version when it was written.",
                "Leave out --base, or have its adapters validated again and run `dovetail lock --update`.",
                code="client-base-not-locked",
            )
        wanted |= {f"{base.id}/{file.path}": Source(file, _route(base.id, "main", file)) for file in base.files}
    return wanted


def _laid_out_files(laid_out: LaidOut) -> dict[str, Source]:
    return {place: _source(origin) for place, origin in laid_out.files.items()}


def _source(origin: Origin) -> Source:
    return Source(origin.file, _route(origin.repository, origin.revision, origin.file))


def _route(repository: str, revision: str, file: LockedFile) -> str:
    return f"/{quote(repository)}/resolve/{revision}/{quote(file.path)}"


# --- missing bytes ---------------------------------------------------------------------------------------------------
class _Fetcher:
    """Brings files into the cache that are not there; `came` counts the bytes of all calls."""

    def __init__(self, connect: Connect, cache: Store, progress: Progress, *, is_verified: bool = False) -> None:
        self._connect, self._cache, self._progress, self._is_verified = connect, cache, progress, is_verified
        self.came = 0

    def origins(self, origins: Iterable[Origin]) -> None:
        self.sources(map(_source, origins))

    def sources(self, sources: Iterable[Source]) -> None:
        by_digest = {source.file.sha256: source for source in sources}
        missing = [one for one in by_digest.values() if not self._cache.has(one.file, reading=self._is_verified)]
        if missing:
            self.came += _fetch_all(missing, self._connect, self._cache, self._progress)


def _fetch_all(missing: Sequence[Source], connect: Connect, cache: Store, progress: Progress) -> int:
    """Download files into the cache, several at a time; return the bytes that came. What arrived is kept on failure."""
    cache.folder.mkdir(parents=True, exist_ok=True)
    needed, free = sum(source.file.size or 0 for source in missing), shutil.disk_usage(cache.folder).free
    if needed > free:
        raise Problem(
            f"{needed:,} bytes are needed, and {free:,} are free in {cache.folder}.",
            "Make room, or set DOVETAIL_CACHE to a folder on another disk.",
            code="client-disk-full",
        )
    transport = connect()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(_fetch, source, transport, cache, progress) for source in missing]
        try:
            return sum(job.result() for job in jobs)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _fetch(source: Source, transport: Transport, cache: Store, progress: Progress) -> int:
    file, came = source.file, 0
    part = cache.part(file.sha256)
    try:
        for attempt in range(TRIES):
            try:
                came += _append(source, transport, part, progress)
                break
            except Problem as problem:
                if problem.code != "client-unreachable" or attempt == TRIES - 1:
                    raise
        cache.take(part, file.sha256)
        return came
    finally:
        cache.keep_part(part, file.sha256)  # what is left of it, if it was not taken


def _append(source: Source, transport: Transport, part: Path, progress: Progress) -> int:
    """Append the rest of a file to what is here, and check the whole; return the bytes that came."""
    file = source.file
    at = part.stat().st_size
    if file.size is not None and at > file.size:
        at = 0
    came = 0 if at and at == file.size else _receive(source, transport, part, at, progress)
    with part.open("rb") as whole:
        arrived = hashlib.file_digest(whole, "sha256").hexdigest()
    if arrived != file.sha256:
        size = part.stat().st_size
        part.unlink()
        raise Problem(
            f"{file.path} arrived as {size:,} bytes with the sha256 {arrived[:12]}…, not as the lock states "
            f"({file.sha256[:12]}…).",
            "The folder is as it was. Try again; if it happens again, tell the hub's administrator.",
            code="client-digest-mismatch",
        )
    return came


def _receive(source: Source, transport: Transport, part: Path, at: int, progress: Progress) -> int:
    file, came = source.file, 0
    most = file.size if file.size is not None else 1 << 40
    with transport.download(source.route, at) as answer, part.open("r+b") as out:
        at = at if answer.status == PARTIAL else 0
        out.truncate(at)
        out.seek(at)
        while piece := _piece(transport, answer, min(PIECE, most + 1 - at)):
            out.write(piece)
            at, came = at + len(piece), came + len(piece)
            progress(file.path, min(at, most), most)
    if file.size is not None and at < file.size:
        raise unreachable(transport.endpoint, f"the download of {file.path} broke off at {at:,} bytes")
    return came


def _piece(transport: Transport, answer: HTTPResponse, size: int) -> bytes:
    try:
        return answer.read(size)
    except (OSError, HTTPException) as error:
        raise unreachable(transport.endpoint, f"the download broke off ({error})") from None
