"""Dispatches events: reads the outbox in order and hands them to those who tell: feed, features.

Each row is handled and deleted in one transaction, so that every consumer handles it exactly once and a crash loses
nothing. The row is locked meanwhile, and rows are taken by their numbers, so the events of one repository keep their
order. A consumer that fails is tried again later, alone.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta

from django.db import DatabaseError, connection, transaction
from django.db.models import Max, QuerySet
from django.urls import NoReverseMatch
from django.utils import timezone

from registry.kernel import audit, outbox, seams, traces
from registry.kernel.errors import RegistryError
from registry.kernel.outbox import Kind
from registry.models import Event, OutboxEvent, Repository, User
from registry.moderation import findings

RELEASES: dict[str, str] = {
    Kind.RELEASE_CREATED: "create",
    Kind.RELEASE_EDITED: "update",
    Kind.RELEASE_DELETED: "delete",
}
KINDS: dict[str, str] = {
    Kind.CREATED: Event.Kind.PUSH,
    Kind.REF_MOVED: Event.Kind.PUSH,
    Kind.VERDICT_REACHED: Event.Kind.VERDICT,
    Kind.QUARANTINED: Event.Kind.QUARANTINE,
    Kind.RELEASED: Event.Kind.RELEASE,
    Kind.DELETED: Event.Kind.DELETE,
    Kind.MOVED: Event.Kind.MOVE,
    Kind.RESTORED: Event.Kind.RESTORE,
    Kind.YANKED: Event.Kind.YANK,
    Kind.UNYANKED: Event.Kind.UNYANK,
    Kind.ALIAS_MOVED: Event.Kind.ALIAS,
    Kind.REGRESSION: Event.Kind.REGRESSION,
    **dict.fromkeys(RELEASES, Event.Kind.TAG_RELEASE),
}
DETAILS: dict[str, tuple[str, ...]] = {
    Event.Kind.PUSH: ("ref",),
    Event.Kind.VERDICT: ("state", "number", "check"),
    Event.Kind.MOVE: ("before",),
    Event.Kind.YANK: ("reason",),
    Event.Kind.UNYANK: ("reason",),
    Event.Kind.REGRESSION: ("held", "because", "against", "reason"),
    Event.Kind.ALIAS: ("alias", "action", "before", "after", "reason"),
    Event.Kind.TAG_RELEASE: ("tag", "title", "prerelease"),
}


def consume(event: OutboxEvent) -> None:
    """Add the event to the feed if its kind belongs there."""
    kind, data = KINDS.get(event.kind), event.data
    if kind is None or (event.kind == Kind.REF_MOVED and not data["is_push"]):
        return
    then = outbox.snapshot(event)
    details = {name: data.get(name) for name in DETAILS.get(kind, ())}
    if event.kind in RELEASES:
        details["action"] = RELEASES[event.kind]
    if data.get("incomplete"):  # of a push that broke off
        details["incomplete"] = True
    Event.objects.create(
        seq=next_number(),
        at=event.at,
        kind=kind,
        repository_id=then.id if Repository.objects.filter(pk=then.id).exists() else None,
        type=then.type,
        name=data["after"] if event.kind == Kind.MOVED else then.full_name,
        was_public=not then.private,
        revision=data.get("revision") or data.get("new") or "",
        data=details,
    )


# Entries of the feed are numbered in the order of their commits. A number that is assigned inside a transaction does
# not tell that order: a reader that has read up to 12 would miss an 11 that is committed later. So one transaction at a
# time gives out numbers, from its first one to its commit.
LOCK = 0x66656564  # our own number among the advisory locks of the database
NUMBERED_AT_ONCE, BY_ONE_STATEMENT = 1000, 250


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


def number_entries() -> None:
    """Give numbers to entries without one, which a process of the release before left when it ended."""
    while Event.objects.filter(seq__isnull=True).exists():
        with transaction.atomic():
            first = next_number()
            rows = list(Event.objects.filter(seq__isnull=True).order_by("pk").only("pk")[:NUMBERED_AT_ONCE])
            for seq, row in enumerate(rows, first):
                row.seq = seq
            Event.objects.bulk_update(rows, ["seq"], batch_size=BY_ONE_STATEMENT)


logger = logging.getLogger(__name__)

MODERATION = "moderation"
CONSUMERS: dict[str, Callable[[OutboxEvent], None]] = {
    MODERATION: findings.consume,  # first: the others are silent about what it holds back
    "feed": consume,
}
PAUSES = (10, 60, 600, 3600)  # seconds after each failed attempt; after the last one the event is given up
AT_ONCE = 500  # events of one run; the next nudge or sweep goes on
BEFORE_READING = 5  # events that a reader handles at most; a longer queue is left to the workers
STALLED_SECONDS = 60  # workers look every half minute: an event that waits for longer tells that none comes by
KEPT_DAYS = 30  # given-up events are kept for inspection
# Errors of a consumer that cannot handle a row. Any other error ends the run, and the row stays.
FAULTS = (
    *(ArithmeticError, AssertionError, AttributeError, DatabaseError, LookupError, NoReverseMatch),
    *(RegistryError, RuntimeError, TypeError, ValueError),
)


def run(limit: int = AT_ONCE) -> int:
    """Handle waiting events and return their number; stop at a row that another process handles."""
    handled = 0
    while handled < limit and (number := _due().values_list("pk", flat=True).first()) and _handle(number):
        handled += 1
    return handled


def catch_up() -> None:
    """Handle a few waiting events before their results are read, so that a page is up to date.

    A longer queue is left to the workers as a whole: a few of its oldest events would not bring a reader up to date,
    and a worker ends its run where it meets a row that a reader has locked. Where no worker comes by, readers handle
    the oldest few each, so that a hub without workers falls behind and never stands still. An event for
    which moderation reads files is left to the workers as well: no page waits for the store.
    """
    waiting = list(_due().values_list("pk", "due_at")[: BEFORE_READING + 1])
    is_long = len(waiting) > BEFORE_READING
    if is_long and waiting[0][1] > timezone.now() - timedelta(seconds=STALLED_SECONDS):
        return
    for number, _ in waiting[:BEFORE_READING]:
        if not _handle(number, wait=not is_long, is_reader=True):
            break


def has_waiting() -> bool:
    """Return whether events wait to be handled now."""
    return _due().exists()


def sweep() -> int:
    """Handle events of lost messages and delete old given-up events; return the number of handled events."""
    OutboxEvent.objects.filter(given_up_at__lt=timezone.now() - timedelta(days=KEPT_DAYS)).delete()
    number_entries()
    return run()


def retry(event: OutboxEvent, by: User) -> bool:
    """Have an event that was given up tried again from its first attempt; return False if it was not given up."""
    with transaction.atomic():
        given_up = OutboxEvent.objects.filter(pk=event.pk, given_up_at__isnull=False)
        if not given_up.update(given_up_at=None, attempts=0, due_at=timezone.now()):
            return False
        audit.record(by, "outbox:retry", str(event))
        transaction.on_commit(outbox.notify, robust=True)
    return True


def _due() -> QuerySet[OutboxEvent]:
    """Return the events that are due, oldest first."""
    return OutboxEvent.objects.filter(given_up_at__isnull=True, due_at__lte=timezone.now()).order_by("pk")


def _handle(number: int, *, wait: bool = False, is_reader: bool = False) -> bool:
    """Handle one event; return False if it is left to another process: it has it, or a reader would need files.

    With `wait` an event that another process has is waited for.
    """
    try:
        with audit.outside_request(), traces.working_for(""), transaction.atomic():
            event = _unhandled(number, skip_locked=not wait).first()
            if event is None:
                return wait
            if is_reader and findings.reads_files(event):
                return False
            traces.continue_for(event.request_id)  # also of what is done after the commit
            with traces.span("event", kind=event.kind):
                failed = [name for name in event.pending or _consumers_of(event) if not _consume(name, event)]
            _settle(event, failed)
    except DatabaseError as problem:  # at the commit, if a referenced row was deleted meanwhile
        logger.warning("An event could not be stored: %s", problem, extra={"event": number})
        for event in OutboxEvent.objects.filter(pk=number):
            _put_off(event, event.pending)
    return True


def _unhandled(event: int, *, skip_locked: bool) -> QuerySet[OutboxEvent]:
    """Return the event, locked, unless it was given up."""
    rows = OutboxEvent.objects.select_for_update(of=("self",), skip_locked=skip_locked).select_related("by")
    return rows.filter(pk=event, given_up_at__isnull=True)


def consumers() -> dict[str, Callable[[OutboxEvent], None]]:
    """Return what handles events, by name, in order: the core's, then those of features."""
    return CONSUMERS | {name: consume for feature in seams.joined() for name, consume in feature.consumers}


def _consumers_of(event: OutboxEvent) -> Iterable[str]:
    """Return who handles an event; a verdict on what is in the bin is the moderators' business alone."""
    is_binned = event.repository is not None and outbox.snapshot(event).binned
    return [MODERATION] if is_binned and event.kind == outbox.Kind.VERDICT_REACHED else consumers()


def _consume(name: str, event: OutboxEvent) -> bool:
    try:
        with transaction.atomic():
            consumers()[name](event)
    except FAULTS:
        logger.exception("An event could not be handled", extra={"event": event.pk, "kind": event.kind, "who": name})
        return False
    return True


def _settle(event: OutboxEvent, failed: list[str]) -> None:
    if failed:
        _put_off(event, failed)
    else:
        event.delete()


def _put_off(event: OutboxEvent, pending: list[str] | None) -> None:
    """Schedule an event for another attempt by these consumers; give it up after the last attempt."""
    now = timezone.now()
    event.pending = pending
    if event.attempts < len(PAUSES):
        event.due_at = now + timedelta(seconds=PAUSES[event.attempts])
    else:
        event.given_up_at = now
        logger.error("An event was given up", extra={"event": event.pk, "kind": event.kind, "who": pending})
    event.attempts += 1
    event.save(update_fields=["pending", "due_at", "given_up_at", "attempts"])
