"""Asks a hub for the entries of a lock: which commit a name means today, and everything that is pinned with it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
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
