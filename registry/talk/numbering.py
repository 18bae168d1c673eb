"""Numbers the entries of the feed of changes, by the process that dispatched them; readers only read.

A number that is assigned inside a transaction does not tell the order of commits: a reader that has read up to 12 would
miss an 11 that is committed later. So entries get their numbers after their commit.
"""

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Max

from registry.kernel.prepared import Prepared
from registry.kernel.prepared_writes import PreparedUpdate
from registry.models import Event

NUMBERED_AT_ONCE, NUMBERED_BY_ONE_STATEMENT = 1000, 250
FEW = 8  # entries, as nearly always; a statement for each is faster than one for all, which is compiled each time
TRIES = 5


def highest() -> int:
    """Return the highest number that was given out; 0 if there is none."""
    return Event.objects.aggregate(last=Max("seq"))["last"] or 0


def number() -> None:
    """Give numbers to entries that have none.

    Of two processes that give out the same number at once, one fails, and numbers then what the other left.
    """
    for _ in range(TRIES):
        waiting = [entry for (entry,) in _WAITING()]
        if not waiting or (_give_out(waiting) and len(waiting) < NUMBERED_AT_ONCE):
            return


_WAITING = Prepared(lambda: Event.objects.filter(seq__isnull=True).order_by("pk").values_list("pk")[:NUMBERED_AT_ONCE])
_NUMBER = PreparedUpdate(lambda entry, seq: (Event.objects.filter(pk=entry, seq__isnull=True), {"seq": seq}))


def _give_out(waiting: list[int]) -> bool:
    try:
        with transaction.atomic():
            numbers = enumerate(waiting, highest() + 1)
            if len(waiting) <= FEW:
                for seq, entry in numbers:
                    _NUMBER(entry=entry, seq=seq)
            else:
                rows = [Event(pk=entry, seq=seq) for seq, entry in numbers]
                unnumbered = Event.objects.filter(seq__isnull=True)
                unnumbered.bulk_update(rows, ["seq"], batch_size=NUMBERED_BY_ONE_STATEMENT)
    except DatabaseError:  # two gave out the same number, or waited for each other: one of them did
        return False
    return True
