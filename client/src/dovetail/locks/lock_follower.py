"""Asks a hub for the entries of a lock, once or again and again: which commits names mean, with all that is pinned.

While the hub is away, a follower keeps the last good lock.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from urllib.parse import quote

from dovetail.answers import versions
from dovetail.answers.adapters import ChangePage
from dovetail.base import locks
from dovetail.base.locks import Lock, LockedAdapter, LockedBase
from dovetail.base.problems import Problem, no_hub
from dovetail.base.transport import Transport

AT_ONCE = 8


Pinned = tuple[LockedAdapter, LockedBase | None]


def pin(transport: Transport, adapter: str, asked: str, folder: str = "") -> Pinned:
    """Return the entry of an adapter as the hub resolves it now, and its base. Raises Problem."""
    answer = transport.get(f"/adapters/{quote(adapter)}/revisions/{quote(asked, safe='')}/lock", versions.Lock)
    try:
        entry = locks.entry_of(answer, asked, folder or adapter)
        base = locks.base_of(answer)
    except ValueError:
        raise no_hub(transport.endpoint) from None
    return replace(entry, adapter=adapter), base  # as it was asked for, also where it has moved since


def add(transport: Transport, lock: Lock, names: Sequence[tuple[str, str]]) -> Lock:
    """Return the lock with these adapters (NS/NAME and what is asked for), resolved now. Raises Problem."""
    since = newest(transport) if not lock.adapters else lock.since
    for entry, base in _pin_all(
        transport, [(adapter, asked, _folder(lock, adapter, asked)) for adapter, asked in names]
    ):
        lock = lock.with_entry(replace(entry, folder=_folder(lock, entry.adapter, entry.asked)), base)
    return replace(lock, hub=transport.endpoint, since=since)


def renew(transport: Transport, lock: Lock, entries: Sequence[LockedAdapter] | None = None) -> Lock:
    """Return the lock with these entries (all of them) resolved again. Raises Problem if one is gone."""
    is_whole = entries is None
    since = newest(transport) if is_whole else lock.since
    chosen = lock.adapters if entries is None else entries
    for entry, base in _pin_all(transport, [(e.adapter, e.asked, e.folder) for e in chosen]):
        lock = lock.with_entry(entry, base)
    return replace(lock, since=since)


def newest(transport: Transport) -> int:
    """Return the number of the newest entry in the feed of changes."""
    return transport.get("/changes?limit=0", ChangePage).last


def _pin_all(transport: Transport, wanted: Sequence[tuple[str, str, str]]) -> list[Pinned]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda one: _pin(transport, *one), wanted))


def _pin(transport: Transport, adapter: str, asked: str, folder: str) -> Pinned:
    try:
        return pin(transport, adapter, asked, folder)
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
GONE = (403, 404, 410, 451)  # what a hub says of an adapter that is held back, deleted or no longer ours to read


@dataclass(frozen=True)
class Round:
    """One look at the hub: the lock to serve now, what is left out of it and why, and why the hub did not answer."""

    lock: Lock
    gone: dict[str, str]  # NS/NAME@ASKED → the hub's reason
    problem: Problem | None = None


class Follower:
    """Keeps a lock current. Entries that the hub holds back are left out until it has them again."""

    def __init__(self, transport: Transport, lock: Lock, served: Lock | None = None) -> None:
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


def held_back(transport: Transport, lock: Lock) -> dict[str, str]:
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


def _changed_since(transport: Transport, since: int) -> tuple[set[str], int]:
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
