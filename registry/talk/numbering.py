"""Numbers the entries of the feed of changes in the order of their commits; readers only read.

A number that is assigned inside a transaction does not tell the order of commits: a reader that has read up to 12 would
miss an 11 that is committed later. So one transaction at a time gives out numbers, from its first one to its commit.
"""

from django.db import connection, transaction
from django.db.models import Max

from registry.models import Event

LOCK = 0x66656564  # our own number among the advisory locks of the database
AT_ONCE, BY_ONE_STATEMENT = 1000, 250


def highest() -> int:
    """Return the highest number that was given out; 0 if there is none."""
    return Event.objects.aggregate(last=Max("seq"))["last"] or 0


def next_number() -> int:
    """Return the next number, for an entry of this transaction; others wait for the transaction's end.

    On SQLite one transaction writes at a time.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    return highest() + 1


def number() -> None:
    """Give numbers to entries without one, which a process of the release before left when it ended."""
    while Event.objects.filter(seq__isnull=True).exists():
        with transaction.atomic():
            first = next_number()
            rows = list(Event.objects.filter(seq__isnull=True).order_by("pk").only("pk")[:AT_ONCE])
            for seq, row in enumerate(rows, first):
                row.seq = seq
            Event.objects.bulk_update(rows, ["seq"], batch_size=BY_ONE_STATEMENT)
