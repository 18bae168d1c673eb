"""Makes a folder equal to a lock: missing files come into the shared cache, then the folder changes as a whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dovetail import downloading, laying_out, lock_files, trees
from dovetail.downloading import Connect, Progress, Source, ignore
from dovetail.laying_out import LaidOut
from dovetail.locks import Lock, LockedAdapter
from dovetail.problems import Problem
from dovetail.store import Store


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
    wanted = laid_out.files if layout else _wanted(lock, with_bases=with_bases)
    places = {place: source.file for place, source in wanted.items()}
    places |= laying_out.make(lock, laid_out, cache, fetcher.bring)
    if trees.is_equal(to, places, lock.text(), reading=is_verified) and not trees.leftovers(to):
        return Synced(to, False, downloaded=fetcher.came, left_out=laid_out.left_out, start=laid_out.start)
    with trees.exclusive(to):
        before = _ids(old.adapters if (old := trees.record(to)) else ())
        here = trees.whole_files(to, places, reading=is_verified) if to.is_dir() else set()
        fetcher.bring(source for place, source in wanted.items() if place not in here)
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
    wanted = laid_out.files if layout else _wanted(lock, with_bases=with_bases)
    places = {place: source.file for place, source in wanted.items()}
    places |= laying_out.make(lock, laid_out, cache, _Fetcher(connect, cache, ignore).bring)
    return not trees.is_equal(to, places, lock.text(), reading=is_verified)


def _ids(entries: Iterable[LockedAdapter]) -> set[str]:
    return {f"{entry.adapter}@{entry.revision}" for entry in entries}


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
        absent = downloading.missing(sources, self._cache, reading=self._is_verified)
        self.came += downloading.bring(absent, self._connect, self._cache, self._progress)
