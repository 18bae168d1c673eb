"""Makes a folder equal to a lock, once, or again and again as the names of the lock move on the hub.

The hub is asked which commits names mean, and for all that is pinned with them. While it is away, a follower keeps the
last good lock.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from dovetail import locks
from dovetail.answers import versions
from dovetail.answers.adapters import ChangePage
from dovetail.hub_reader import GONE, ReadingHub
from dovetail.locks import Lock, LockedAdapter, LockedBase, LockedFile, Source
from dovetail.problems import Problem, no_hub
from dovetail.store import engine_folder, transfers, trees
from dovetail.store.engine_folder import LaidOut
from dovetail.store.store import Store
from dovetail.store.transfers import Connect, Progress, ignore
from dovetail.transport import is_away


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
        to,
        True,
        tuple(sorted(after - before)),
        tuple(sorted(before - after)),
        fetcher.came,
        tuple(sorted(repaired)),
        left_out,
        start,
    )


def compare(
    lock: Lock,
    to: Path,
    connect: Connect,
    cache: Store,
    *,
    with_bases: bool = False,
    is_verified: bool = False,
    layout: str = "",
) -> trees.Difference:
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
                f"The lock has no digests of the base {base.id} at {base.revision or base.sha256[:12]}: the hub "
                "had another version of it when the lock was written.",
                "Omit --base, or have its adapters validated again and run `dovetail lock --update`.",
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


AT_ONCE = 8


Pinned = tuple[LockedAdapter, LockedBase | None]


def pin(transport: ReadingHub, adapter: str, asked: str, folder: str = "", *, may_be_kept: bool = False) -> Pinned:
    """Return the entry of an adapter as the hub resolves it now, and its base. Raises Problem."""
    path = f"/adapters/{quote(adapter)}/revisions/{quote(asked, safe='')}/lock"
    answer = transport.get_kept(path, versions.Lock) if may_be_kept else transport.get(path, versions.Lock)
    try:
        entry = locks.entry_of(answer, asked, folder or adapter)
        base = locks.base_of(answer)
    except ValueError:
        raise no_hub(transport.endpoint) from None
    return replace(entry, adapter=adapter), base  # as it was asked for, also where it has moved since


def add(transport: ReadingHub, lock: Lock, names: Sequence[tuple[str, str]]) -> Lock:
    """Return the lock with these adapters (NS/NAME and what is asked for), resolved now. Raises Problem.

    While the hub is away they are resolved as it said last, and a new lock has no number in the feed.
    """
    try:
        since = newest(transport) if not lock.adapters else lock.since
    except Problem as problem:
        if not is_away(problem):
            raise
        since = 0
    for entry, base in _pin_all(
        transport, [(adapter, asked, _folder(lock, adapter, asked)) for adapter, asked in names], may_be_kept=True
    ):
        lock = lock.with_entry(replace(entry, folder=_folder(lock, entry.adapter, entry.asked)), base)
    return replace(lock, hub=transport.endpoint, since=since)


def renew(transport: ReadingHub, lock: Lock, entries: Sequence[LockedAdapter] | None = None) -> Lock:
    """Return the lock with these entries (all of them) resolved again. Raises Problem if one is gone."""
    is_whole = entries is None
    since = newest(transport) if is_whole else lock.since
    chosen = lock.adapters if entries is None else entries
    for entry, base in _pin_all(transport, [(e.adapter, e.asked, e.folder) for e in chosen]):
        lock = lock.with_entry(entry, base)
    return replace(lock, since=since)


def newest(transport: ReadingHub) -> int:
    """Return the number of the newest entry in the feed of changes."""
    return transport.get("/changes?limit=0", ChangePage).last


def _pin_all(
    transport: ReadingHub, wanted: Sequence[tuple[str, str, str]], *, may_be_kept: bool = False
) -> list[Pinned]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda one: _pin(transport, *one, may_be_kept=may_be_kept), wanted))


def _pin(transport: ReadingHub, adapter: str, asked: str, folder: str, *, may_be_kept: bool) -> Pinned:
    try:
        return pin(transport, adapter, asked, folder, may_be_kept=may_be_kept)
    except Problem as problem:
        problem.detail = f"{adapter}@{asked}: {problem.detail}"
        raise


def _folder(lock: Lock, adapter: str, asked: str) -> str:
    """Return the folder of an entry: NS/NAME, with @ASKED if the adapter is locked in other words too."""
    for entry in lock.adapters:
        if (entry.adapter, entry.asked) == (adapter, asked):
            return entry.folder
    taken = {entry.folder.casefold() for entry in lock.adapters}
    return f"{adapter}@{asked.replace('/', '-')}" if adapter.casefold() in taken else adapter


LONGEST_PAUSE = 30.0  # seconds between two attempts while the hub is away
PAGE = 1000


@dataclass(frozen=True)
class Round:
    """One look at the hub: the lock to serve now, what is left out of it and why, and why the hub did not answer."""

    lock: Lock
    gone: dict[str, str]  # NS/NAME@ASKED → the hub's reason
    problem: Problem | None = None


class Follower:
    """Keeps a lock current. Entries that the hub holds back are left out until it has them again."""

    def __init__(self, transport: ReadingHub, lock: Lock, served: Lock | None = None) -> None:
        self._transport = transport
        self._all = lock.adapters  # as the file names them
        is_newer = served is not None and served.since >= lock.since and _names(served) <= _names(lock)
        self._lock = served if served and is_newer else lock
        self._since = self._seen = self._lock.since  # numbers in the feed: followed up to, and read up to
        self._is_known = self._since > 0
        self._gone: dict[str, str] = {}
        self._turn = 0

    @property
    def lock(self) -> Lock:
        """The lock to serve as far as it is known; at first what was served last, or what the file says."""
        return self._lock

    def look(self) -> Round:
        """Ask the hub what changed. While it is away, the lock stays as it is."""
        before = self._lock
        try:
            self._resolve(self._doubtful())
        except Problem as problem:
            return Round(self._lock, dict(self._gone), problem)
        # The number is kept with what it led to: one that changes all the time would change the folder all the time.
        if self._lock != before:
            self._lock = replace(self._lock, since=self._since)
        return Round(self._lock, dict(self._gone))

    def _doubtful(self) -> list[LockedAdapter]:
        """Return the entries that may have changed: those in the feed, missing ones, and one more in turn.

        The feed is silent about what was held back while private, so everything has its turn.
        """
        if not self._is_known:
            self._seen = newest(self._transport)
            return list(self._all)
        names = self._names_in_feed()
        self._turn = (self._turn + 1) % max(1, len(self._all))
        here = _names(self._lock)
        return [
            entry
            for turn, entry in enumerate(self._all)
            if turn == self._turn
            or entry.adapter.casefold() in names
            or (_name(entry) not in here and _name(entry) not in self._gone)
        ]

    def _names_in_feed(self) -> set[str]:
        names, self._seen = _changed_since(self._transport, self._since)
        return names

    def _resolve(self, entries: list[LockedAdapter]) -> None:
        for entry in entries:
            try:
                pinned, base = pin(self._transport, entry.adapter, entry.asked, entry.folder)
            except Problem as problem:
                if problem.status not in GONE:
                    raise
                same = [e for e in self._lock.adapters if _name(e) == _name(entry)]
                self._lock = self._lock.without(same)
                self._gone[_name(entry)] = problem.detail
                continue
            self._gone.pop(_name(entry), None)
            self._lock = self._lock.with_entry(pinned, base)
        self._since, self._is_known = self._seen, True


def held_back(transport: ReadingHub, lock: Lock) -> dict[str, str]:
    """Return the locked commits that the hub does not serve any more (NS/NAME@ASKED), and its reasons."""
    names, _ = _changed_since(transport, lock.since)
    gone = {}
    for entry in lock.adapters:
        if entry.adapter.casefold() in names:
            try:
                pin(transport, entry.adapter, entry.revision, entry.folder)
            except Problem as problem:
                if problem.status not in GONE:
                    raise
                gone[_name(entry)] = problem.detail
    return gone


def _changed_since(transport: ReadingHub, since: int) -> tuple[set[str], int]:
    """Return the adapters in the feed after a number, in lower case, and the number of its newest entry."""
    names: set[str] = set()
    while True:
        page = transport.get(f"/changes?since={since}&limit={PAGE}", ChangePage)
        names |= {change.adapter.casefold() for change in page.items}
        since = page.last
        if len(page.items) < PAGE:
            return names, since


def rounds(follower: Follower, every: float) -> Iterator[Round]:
    """Yield a look at the hub every so many seconds, more rarely while it is away."""
    pause = every
    while True:
        seen = follower.look()
        yield seen
        pause = min(max(pause * 2, 1.0), LONGEST_PAUSE) if seen.problem else every
        wait = seen.problem.wait_seconds if seen.problem and seen.problem.wait_seconds else pause
        time.sleep(wait)


def _name(entry: LockedAdapter) -> str:
    return f"{entry.adapter}@{entry.asked}"


def _names(lock: Lock) -> set[str]:
    return {_name(entry) for entry in lock.adapters}
