"""Asks each replica once a second, by a thread of each process, how far it has replayed the primary's log.

The lag is how long ago the primary was at the point to which the replica has come: it needs no clock but ours, is 0 on
a hub where nothing happens, and grows while a replica is cut off from its primary and does not know it.
"""

import logging
import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DEFAULT_DB_ALIAS

logger = logging.getLogger(__name__)
SECONDS = 1.0  # between two looks
SAMPLES = 600
PRIMARY = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
REPLICA = """
SELECT CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END
"""


@dataclass
class Replica:
    """The state of one replica as this process knows it. Positions are bytes of the write-ahead log."""

    alias: str
    replayed: int = 0
    is_well: bool = False  # it answered when it was asked last, and was as far as the primary once
    looked_at: float = float("-inf")
    primary: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES))  # (when, position)

    @property
    def lag(self) -> float:
        """Seconds since the primary wrote the first thing that is not here, as far as is known."""
        behind_since = self._behind_since
        return time.monotonic() - behind_since if behind_since else 0.0

    @property
    def _behind_since(self) -> float:
        return next((at for at, position in list(self.primary) if position > self.replayed), 0.0)

    @property
    def is_used(self) -> bool:
        """True while requests read from it: since the last look it may have replayed nothing."""
        behind_since = self._behind_since or self.looked_at
        return self.is_well and time.monotonic() - behind_since <= settings.DATABASE_REPLICA_LAG

    def learn(self, primary: int | None, replayed: int | None) -> None:
        """Take in one look at both servers; None where a server did not answer, or is no replica any more."""
        was_used, now = self.is_used, time.monotonic()
        if primary is not None:
            self.primary.append((now, primary))
        if replayed is None:
            self.is_well = False
        else:
            self.replayed, self.looked_at = replayed, now
            has_come_up = any(position <= replayed for _, position in list(self.primary))
            self.is_well = self.is_well or has_come_up  # until then nobody knows how far behind it is
        if self.is_used != was_used:
            log = logger.info if self.is_used else logger.warning
            log("Reads go to a replica again" if self.is_used else "A replica is left out", extra=self.fields)

    @property
    def fields(self) -> dict[str, object]:
        """Its state, for logs, /readyz and metrics."""
        return {"replica": self.alias, "used": self.is_used, "lag_seconds": round(self.lag, 1)}


_lock = threading.Lock()
_replicas: dict[str, Replica] = {}
_process = 0


def replicas() -> list[Replica]:
    """Return the replicas of this hub; the first call in a process begins to watch them."""
    global _process
    if _process != os.getpid():  # a fork has none of the threads
        with _lock:
            if _process != os.getpid():
                _replicas.clear()
                _replicas.update({alias: Replica(alias) for alias in settings.DATABASE_REPLICAS})
                for replica in _replicas.values():
                    threading.Thread(target=_watch, args=(replica,), name=replica.alias, daemon=True).start()
                _process = os.getpid()
    return list(_replicas.values())


def leave_out(alias: str) -> None:
    """Read from this replica only after it has answered the thread again."""
    if replica := _replicas.get(alias):
        replica.learn(None, None)


def _watch(replica: Replica) -> None:
    """Look at both servers again and again; each replica has a thread, so that a silent one delays no other."""
    primary, copy = _own_connection(DEFAULT_DB_ALIAS), _own_connection(replica.alias)
    while True:
        position = _ask(primary, PRIMARY)  # first: what is asked later is never taken for older
        replayed = _ask(copy, REPLICA)
        if replayed is not None and not replica.is_well:
            _renew_pool(replica.alias)
        replica.learn(position, replayed)
        time.sleep(SECONDS)


def _renew_pool(alias: str) -> None:
    """Replace connections of the pool that broke when a replica died: each would fail a request and leave it out."""
    pool = getattr(connections[alias], "pool", None)
    if pool is not None and not pool.closed:  # open since the first request that read from this replica
        pool.check()


def _own_connection(alias: str) -> BaseDatabaseWrapper:
    """Return a connection beside the pool, which requests may have emptied."""
    connection = connections[alias].copy()
    connection.settings_dict["OPTIONS"].pop("pool", None)
    connection.settings_dict["OPTIONS"].setdefault("connect_timeout", 2)
    return connection


def _ask(connection: BaseDatabaseWrapper, question: str) -> int | None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(question)
            row = cursor.fetchone()
    except DatabaseError:
        connection.close()
        return None
    return row[0] if row else None
