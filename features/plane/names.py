"""The names of repositories whose documents are to be written: requests, and a comparison with the database.

A request is a row that is written with the change. A worker collects them: the row of a name is its job, which jobs.py
does. No request is made while DOVETAIL_PLANE_URL is not set.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import CharField, Count, Exists, Min, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat, Least
from django.utils import timezone
from django.utils.module_loading import import_string

from features.plane import documents, objects
from features.plane.models import PlaneName, PlaneRequest
from registry.bytes import blobs
from registry.bytes.blobs import Keys
from registry.bytes.object_copies import batched
from registry.kernel import policy
from registry.models import OutboxEvent, Repository

logger = logging.getLogger(__name__)
Kind = OutboxEvent.Kind

ADDS = {Kind.RELEASED, Kind.RESTORED, Kind.UNYANKED, Kind.ALIAS_MOVED, Kind.REF_MOVED, Kind.VERDICT_REACHED}
ADDS |= {Kind.REGRESSION}
WITHDRAWS = {Kind.DELETED, Kind.MOVED, Kind.CONFIGURED, Kind.QUARANTINED, Kind.YANKED}
FIRST = datetime(2000, 1, 1, tzinfo=UTC)  # due before all that only adds or renews: withdrawals wait for nothing
BATCH = 500
AT_ONCE = 10_000  # names that are found to be missing by one query
HOURS = 24
_ROWS = (PlaneName.objects, PlaneRequest.objects)


def request(names: Iterable[str], *, withdraws: bool = False) -> None:
    """Have the documents of these names (NS/NAME) written again; call it in the transaction of the change.

    With `withdraws`, something may have to go, and they come first.
    """
    rows = [PlaneRequest(name=name, withdraws=withdraws) for name in sorted(set(names))]
    if not rows or not settings.PLANE_URL:
        return
    PlaneRequest.objects.bulk_create(rows, batch_size=BATCH)
    transaction.on_commit(tell_workers, robust=True)  # a broker that is down costs half a minute, until the next sweep


def tell_workers() -> None:
    """Send the hint that names wait; also with each sweep."""
    if settings.PLANE_URL:
        send: Callable[[], Any] = import_string(settings.PLANE_DOORBELL)
        send()


def collect(limit: int = BATCH) -> int:
    """Make the names of waiting requests due, withdrawals first; return the number of requests that were read.

    Each has a transaction of its own, which holds one name at a time: nobody can wait for two workers in a circle.
    """
    waiting = list(PlaneRequest.objects.order_by("-withdraws", "pk")[:limit])
    for row in waiting:
        with transaction.atomic():
            if not PlaneRequest.objects.filter(pk=row.pk).delete()[0]:
                continue  # another worker has it
            due_at = FIRST if row.withdraws else row.at
            PlaneName.objects.update_or_create(
                name=row.name,
                defaults={"due_at": Least("due_at", Value(due_at)), "attempts": 0},
                create_defaults={"due_at": due_at},
            )
    return len(waiting)


class Waiting(NamedTuple):
    """Requests and names that are due: their number, that of withdrawals, and the time of the oldest other one."""

    number: int
    withdrawals: int
    since: datetime | None


def waiting() -> Waiting:
    """Count what a worker has to do now."""
    due, requests = PlaneName.objects.filter(due_at__lte=timezone.now()), PlaneRequest.objects.all()
    first, withdraws = Q(due_at=FIRST), Q(withdraws=True)
    counts = [
        due.aggregate(all=Count("pk"), first=Count("pk", filter=first), since=Min("due_at", filter=~first)),
        requests.aggregate(all=Count("pk"), first=Count("pk", filter=withdraws), since=Min("at", filter=~withdraws)),
    ]
    since = min((count["since"] for count in counts if count["since"]), default=None)
    return Waiting(sum(count["all"] for count in counts), sum(count["first"] for count in counts), since)


def request_for(events: Iterable[OutboxEvent]) -> None:
    """Request the names of repositories to which these events happened."""
    adding, withdrawing = set[str](), set[str]()
    for event in events:
        if event.repository and event.repository["type"] == Repository.Type.MODEL:
            names = {f"{event.repository['namespace']}/{event.repository['name']}"}
            if event.kind == Kind.MOVED:
                names |= {event.data["before"], event.data["after"]}
            if withdraws(event):
                withdrawing |= names
            elif event.kind in ADDS:
                adding |= names
    request(withdrawing, withdraws=True)
    request(adding - withdrawing)


def withdraws(event: OutboxEvent) -> bool:
    """Return whether somebody may be unable to pull since this event what they could pull before."""
    is_ref_deleted = event.kind == Kind.REF_MOVED and event.data["new"] is None
    return is_ref_deleted or event.kind in WITHDRAWS


def consume(event: OutboxEvent) -> None:
    """Request the names that an event of the outbox is about; withdrawals were requested when it was recorded.

    They are requested again, for their events may be of a web process of the release before.
    """
    request_for([event])


def request_among(which: Q, withdraws: bool) -> None:
    """Request the models on which the condition holds; for all of them, those that are not due keep no turn."""
    if not which:
        PlaneName.objects.filter(due_at__gt=timezone.now()).update(due_at=timezone.now())
    elif settings.PLANE_URL:
        models = Repository.objects.filter(which, type=Repository.Type.MODEL).select_related("namespace")
        request((repository.full_name for repository in models.iterator()), withdraws=withdraws)


def request_missing() -> int:
    """Request the public repositories that have no row; return their number."""
    if not settings.PLANE_URL:
        return 0
    known = [Exists(rows.filter(name=OuterRef("asked"))) for rows in _ROWS]
    missing = public_repositories().exclude(known[0] | known[1]).values_list("asked", flat=True)
    requested = 0
    while names := list(missing[:AT_ONCE]):
        request(names)
        requested += len(names)
    return requested


def request_hidden() -> int:
    """Request what has documents and is not public, which an event that was given up has not done; return how many."""
    public = public_repositories().filter(asked=OuterRef("name"))
    hidden = list(PlaneName.objects.filter(~Exists(public), signed_at__isnull=False).values_list("name", flat=True))
    request(hidden, withdraws=True)
    return len(hidden)


def public_repositories() -> QuerySet[Any]:
    """Return what anybody may see and download, as far as no pull policy keeps it back; `asked` is the full name."""
    shown = Repository.objects.filter(policy.visible_to(policy.NOBODY), type=Repository.Type.MODEL, gated="")
    asked = Concat("namespace__name", Value("/"), "name", output_field=CharField())
    return shown.order_by().annotate(asked=asked)


class Differences(NamedTuple):
    """The result of a comparison: names that lacked documents, names that should have none, bytes that had to go."""

    missing: int = 0
    extra: int = 0
    dropped_bytes: int = 0


def sweep(*, hour: int | None = None) -> Differences:
    """Request what is missing and what should not be there, and remove bytes that nobody may download any more.

    With an `hour`, a part of the bytes is looked at, another part each hour of the day.
    """
    if not settings.PLANE_URL:
        return Differences()
    missing = request_missing()  # first: they are no extra then
    extra = _request_extra() + request_hidden()
    found = Differences(missing, extra, _drop_bytes(hour))
    if found != Differences():
        logger.warning("The read plane differed from the database", extra={"differences": str(found)})
    return found


def remove_all() -> int:
    """Remove every object of the read plane, and all rows; return the number of objects."""
    PlaneRequest.objects.all().delete()
    PlaneName.objects.all().delete()
    removed = 0
    # The indexes first, which readers ask first
    for prefix in (documents.index_key("").removesuffix(".json"), Keys.PLANE):
        for entry in list(blobs.store().list(prefix)):
            blobs.store().delete(entry.key)
            removed += 1
    return removed


def _request_extra() -> int:
    prefix = documents.index_key("").removesuffix(".json")
    names = (entry.key.removeprefix(prefix).removesuffix(".json") for entry in blobs.store().list(prefix))
    extra = 0
    for part in batched(names, BATCH):
        known = (rows.filter(name__in=part).values_list("name", flat=True) for rows in _ROWS)
        unknown = set(part).difference(*known)
        request(unknown, withdraws=True)
        extra += len(unknown)
    return extra


def _drop_bytes(hour: int | None) -> int:
    return sum(objects.drop_bytes(set(part)) for part in batched(_digests(hour), BATCH))


def _digests(hour: int | None) -> Iterator[str]:
    numbers = range(256) if hour is None else range(256 * hour // HOURS, 256 * (hour + 1) // HOURS)
    for number in numbers:
        for entry in blobs.store().list(f"{Keys.PLANE}{Keys.BLOBS}{number:02x}/"):
            yield entry.key.rpartition("/")[2]
