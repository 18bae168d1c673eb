"""Follows a hub: the lock with its aliases as they are now, again and again, and the last good one while it is away."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dovetail.answers.adapters import ChangePage
from dovetail.base.locks import Lock, LockedAdapter
from dovetail.base.problems import Problem
from dovetail.base.transport import Transport
from dovetail.locks import resolution

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
            self._seen = resolution.newest(self._transport)
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
                pinned, base = resolution.pin(self._transport, entry.adapter, entry.asked, entry.folder)
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
                resolution.pin(transport, entry.adapter, entry.revision, entry.folder)
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
