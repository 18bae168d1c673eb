"""Makes a folder equal to a lock: missing files come into the shared cache, then the folder changes as a whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dovetail.base import locks
from dovetail.base.locks import Lock, LockedFile, Source
from dovetail.base.problems import Problem
from dovetail.locks import engine_folder, trees
from dovetail.locks.engine_folder import LaidOut
from dovetail.store import transfers
from dovetail.store.store import Store
from dovetail.store.transfers import Connect, Progress, ignore


@dataclass(frozen=True)
class Synced:
    """The result of a sync: ids of adapters as NS/NAME@commit, and how many bytes came from the hub.

    `repaired` are paths of files that were missing or changed, though the folder was made equal to a lock with them.
    For the layout of an engine: what it does not serve, with the reasons, and the options to start it with.
    """

    folder: Path
    is_changed: bool
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    downloaded: int = 0
    repaired: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    start: tuple[str, ...] = ()


def sync(
    lock: Lock, to: Path, connect: Connect, cache: Store, *,
    with_bases: bool = False, is_verified: bool = False, layout: str = "", progress: Progress = ignore,
) -> Synced:  # fmt: skip
    """Make the folder equal to the lock in one step; the hub is asked for missing bytes alone. Raises Problem, OSError.

    With `is_verified` every byte that is here is read again, in the folder and in the cache. With `layout` the folder
    is arranged for an engine, and holds what it serves.
    """
    locks.check_places(lock, "The lock")
    to = to.parent.resolve() / to.name
    trees.require_ours(to)
    fetcher = _Fetcher(connect, cache, progress, is_verified=is_verified)
    plan = _plan(lock, to, cache, fetcher, with_bases=with_bases, layout=layout)
    left_out, start = plan.laid_out.left_out, plan.laid_out.start
    if trees.is_equal(to, plan.places, lock.text(), reading=is_verified) and not trees.leftovers(to):
        return Synced(to, False, downloaded=fetcher.came, left_out=left_out, start=start)
    with trees.exclusive(to):
        old = trees.record(to) or Lock("")
        here = trees.whole_files(to, plan.places, reading=is_verified) if to.is_dir() else set()
        fetcher.bring(source for place, source in plan.sources.items() if place not in here)
        trees.replace(to, plan.places, lock.text(), cache, reading=is_verified)
    before, after = _ids(old), _ids(lock)
    kept = {place for place, _ in _sources(old, to, layout=layout)[0].items() & plan.sources.items()}
    repaired = kept - here if kept & here else set()  # with none of them there, the folder was arranged otherwise
    return Synced(
        to, True, tuple(sorted(after - before)), tuple(sorted(before - after)), fetcher.came, tuple(sorted(repaired)),
        left_out, start,
    )  # fmt: skip


def compare(
    lock: Lock, to: Path, connect: Connect, cache: Store, *,
    with_bases: bool = False, is_verified: bool = False, layout: str = "",
) -> trees.Difference:  # fmt: skip
    """Return how the folder differs from the lock. For llama.cpp, GGUF files are made in the cache to compare."""
    fetcher = _Fetcher(connect, cache, ignore)
    plan = _plan(lock, to, cache, fetcher, with_bases=with_bases, layout=layout)
    return trees.compare(to, plan.places, lock.text(), reading=is_verified)


def _ids(lock: Lock) -> set[str]:
    return {f"{entry.adapter}@{entry.revision}" for entry in lock.adapters}


# --- the files of a lock ---------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Plan:
    """The files that the folder is to hold, by their places, and the sources of those that are not made here."""

    laid_out: LaidOut
    sources: Mapping[str, Source]
    places: Mapping[str, LockedFile]


def _plan(lock: Lock, to: Path, cache: Store, fetcher: "_Fetcher", *, with_bases: bool, layout: str) -> _Plan:
    sources, laid_out = _sources(lock, to, with_bases=with_bases, layout=layout)
    made = engine_folder.make(lock, laid_out, cache, fetcher.bring)
    return _Plan(laid_out, sources, {place: source.file for place, source in sources.items()} | made)


def _sources(
    lock: Lock, to: Path, *, with_bases: bool = False, layout: str = ""
) -> tuple[Mapping[str, Source], LaidOut]:
    if layout:
        laid_out = engine_folder.lay_out(lock, layout, to)
        return laid_out.files, laid_out
    return _wanted(lock, with_bases=with_bases), LaidOut()


def _wanted(lock: Lock, *, with_bases: bool) -> dict[str, Source]:
    """Return place → file of all adapters, and of their bases if wanted. Raises Problem for a base without digests."""
    wanted = {
        f"{entry.folder}/{file.path}": Source(entry.adapter, entry.revision, file)
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
        wanted |= {f"{base.id}/{file.path}": Source(base.id, "main", file) for file in base.files}
    return wanted


class _Fetcher:
    """Brings files into the cache that are not there; `came` counts the bytes of all calls."""

    def __init__(self, connect: Connect, cache: Store, progress: Progress, *, is_verified: bool = False) -> None:
        self._connect, self._cache, self._progress, self._is_verified = connect, cache, progress, is_verified
        self.came = 0

    def bring(self, sources: Iterable[Source]) -> None:
        absent = transfers.missing(sources, self._cache, reading=self._is_verified)
        self.came += transfers.bring(absent, self._connect, self._cache, self._progress)
