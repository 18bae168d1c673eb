"""Positions in PostgreSQL's write-ahead log that a replica must have replayed before it may be read.

One is kept for each person who wrote, and one for all: that of the last privileged act. So a person reads what they
wrote, and nobody reads from before a quarantine, a suspension or a lost role. A replica that lags for longer than
DOVETAIL_DATABASE_REPLICA_LAG is not read at all, so a position is needed for a little longer than that.
"""

from typing import Protocol, cast

from django.conf import settings
from django.core.cache import caches
from django.db import Error as DatabaseError
from django.db import connection, transaction

OF_ALL = "log-position:all"
KEPT_SECONDS = 60  # beside the lag
UNREACHABLE = 2**63 - 1  # no replica gets there


class _Positions(Protocol):  # hub.shared_cache
    def raise_to(self, key: str, value: int, timeout: int) -> None: ...


def of_person(user: int) -> str:
    """Return the key of a person's position."""
    return f"log-position:{user}"


def remember(key: str) -> None:
    """Keep the position that the primary has now under a key, unless a later one is there.

    Of two that write at once, the one that asked first may be the one that answers last.
    """
    cast(_Positions, caches["default"]).raise_to(key, _position(), settings.DATABASE_REPLICA_LAG + KEPT_SECONDS)


def remember_for_all() -> None:
    """Do so for everybody once this transaction is there. Workers do it too, and read from the primary alone."""
    if settings.DATABASE_REPLICAS:
        transaction.on_commit(lambda: remember(OF_ALL))


def _position() -> int:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
            return int(cursor.fetchone()[0])
    except DatabaseError:  # it was there a moment ago: whoever wrote reads from the primary until that is clear
        return UNREACHABLE
