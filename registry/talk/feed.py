"""The feed of changes for mirrors and followers: the entries that the caller may see, in one order."""

from registry.kernel.policy import Caller, listed_to
from registry.models import Event, Repository, Revision
from registry.talk import dispatch
from registry.talk.dispatch import highest

Kind = Event.Kind
# Visible to all who could see the repository: those who have a copy must know.
GONE = (Kind.QUARANTINE, Kind.DELETE, Kind.YANK)
MAX_AT_ONCE = 5000  # rows of one query


def since(seq: int, by: Caller, limit: int) -> list[Event]:
    """Return at most `limit` entries after a number, in order, that the caller may see.

    Entries are read in order and then checked: in one statement databases would list all visible repositories first.
    """
    dispatch.catch_up()
    entries: list[Event] = []
    step = limit
    while len(entries) < limit:
        rows = list(Event.objects.filter(seq__gt=seq).order_by("seq")[:step])
        repositories = {row.repository_id for row in rows if row.repository_id is not None}
        visible = set(Repository.objects.filter(listed_to(by), pk__in=repositories).values_list("pk", flat=True))
        held = _held(rows)
        entries += [
            row
            for row in rows
            if (row.was_public and row.kind in GONE)
            or (row.repository_id in visible and (row.repository_id, row.revision) not in held)
        ]
        if len(rows) < step:
            break
        seq = rows[-1].seq or seq
        step = min(2 * step, MAX_AT_ONCE)  # a few visible entries among many private ones take few queries
    return entries[:limit]


def last() -> int:
    """Return the number of the newest entry, also of one that the caller may not see; 0 if there is none."""
    dispatch.catch_up()
    return highest()


class Follower:
    """Reads the feed on from a number; a look at which nothing is new to anybody costs little."""

    def __init__(self, seq: int) -> None:
        self.seq = seq

    def has_news(self) -> bool:
        """Return whether there is an entry after the number, or will be one, be it hidden or not."""
        return highest() > self.seq or dispatch.has_waiting()

    def read(self, by: Caller, limit: int) -> list[Event]:
        """Return entries as `since` does, and go on behind them; where there are none, behind all that are hidden."""
        newest = highest()
        entries = since(self.seq, by, limit)
        self.seq = entries[-1].seq or self.seq if entries else max(self.seq, newest)
        return entries


def _held(rows: list[Event]) -> set[tuple[int | None, str]]:
    """Return repository and commit of the entries about a revision that is held back now."""
    oids = {row.revision for row in rows if row.revision}
    held = Revision.objects.filter(oid__in=oids, quarantined_at__isnull=False)
    return set(held.values_list("repository", "oid"))
