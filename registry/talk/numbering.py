"""Numbers the entries of the feed of changes, by the process that dispatched them; readers only read.

A number that is assigned inside a transaction does not tell the order of commits: a reader that has read up to 12 would
miss an 11 that is committed later. So entries get their numbers after their commit.
"""

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Max

from registry.models import Event

NUMBERED_AT_ONCE, NUMBERED_BY_ONE_STATEMENT = 1000, 250
TRIES = 5


def highest() -> int:
    """Return the highest number that was given out; 0 if there is none."""
    return Event.objects.aggregate(last=Max("seq"))["last"] or 0


def number() -> None:
    """Give numbers to entries that have none.

    Of two processes that give out the same number at once, one fails, and numbers then what the other left.
    """
    for _ in range(TRIES):
        unnumbered = Event.objects.filter(seq__isnull=True).order_by("pk")
        waiting = list(unnumbered.values_list("pk", flat=True)[:NUMBERED_AT_ONCE])
        if not waiting or (_give_out(waiting) and len(waiting) < NUMBERED_AT_ONCE):
            return


def _give_out(waiting: list[int]) -> bool:
    try:
        with transaction.atomic():
            numbers = enumerate(waiting, highest() + 1)
            rows = [Event(pk=entry, seq=seq) for seq, entry in numbers]
            unnumbered = Event.objects.filter(seq__isnull=True)
            unnumbered.bulk_update(rows, ["seq"], batch_size=NUMBERED_BY_ONE_STATEMENT)
    except DatabaseError:  # two gave out the same number, or waited for each other: one of them did
        return False
    return True
