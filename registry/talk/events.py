"""The feed of what happened to adapters: noted in the transaction of what happened, numbered when somebody asks.

A number that a row gets while its transaction runs tells nothing of the order in which rows appear: who had read up to
12 would never see an 11 that is committed later. So rows get their numbers when they are there for everybody to see.
"""

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Max

from registry.kernel.policy import Caller
from registry.models import Event, Repository, Revision
from registry.repos.catalog import listed

Kind = Event.Kind
GONE = (Kind.QUARANTINE, Kind.DELETE)  # told to all who could see it: who has a copy must know
NUMBERED_AT_ONCE = 1000
MOST_AT_ONCE = 5000  # rows read in one go


def note(repository: Repository, kind: str, revision: Revision | None = None, **data: object) -> None:
    """Write down what happens now; call it in the transaction in which it happens."""
    Event.objects.create(
        repository=repository,
        kind=kind,
        type=repository.type,
        name=repository.full_name,
        was_public=not repository.private,
        revision=revision.oid if revision else "",
        data=data,
    )


def since(seq: int, by: Caller, limit: int) -> list[Event]:
    """Return what happened after a number, in order, of what the caller may see; at most `limit` rows.

    Read in order and then asked about: in one statement databases make a list of all adapters that he may see first.
    """
    _number()
    found: list[Event] = []
    step = limit
    while len(found) < limit:
        rows = list(Event.objects.filter(seq__gt=seq).order_by("seq")[:step])
        adapters = {row.repository_id for row in rows if row.repository_id is not None}
        seen = set(Repository.objects.filter(listed(by), pk__in=adapters).values_list("pk", flat=True))
        found += [row for row in rows if row.repository_id in seen or (row.was_public and row.kind in GONE)]
        if len(rows) < step:
            break
        seq = rows[-1].seq or seq
        step = min(2 * step, MOST_AT_ONCE)  # who asks for little among much that is private must not ask us for hours
    return found[:limit]


def _number() -> None:
    """Give numbers to rows that have none. Where somebody else does it at this moment, his count."""
    waiting = Event.objects.filter(seq__isnull=True).order_by("pk").values_list("pk", flat=True)[:NUMBERED_AT_ONCE]
    if not waiting:
        return
    try:
        with transaction.atomic():
            last = Event.objects.aggregate(last=Max("seq"))["last"] or 0
            for seq, row in enumerate(waiting, last + 1):
                Event.objects.filter(pk=row, seq__isnull=True).update(seq=seq)
    except DatabaseError:  # two gave out the same number, or waited for each other: one of them did
        return
