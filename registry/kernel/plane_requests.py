"""Requests that the read plane follow what happened to a repository: rows that are written with the change.

A worker collects them: the row of a name is its job, which registry/plane does. Everything here is a no-op while
DOVETAIL_PLANE_URL is not set.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import CharField, Count, Exists, Min, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat, Least
from django.utils import timezone
from django.utils.module_loading import import_string

from registry.kernel import policy
from registry.models import OutboxEvent, PlaneName, PlaneRequest, Repository

Kind = OutboxEvent.Kind

ADDS = frozenset(
    {
        Kind.RELEASED,
        Kind.RESTORED,
        Kind.UNYANKED,
        Kind.ALIAS_MOVED,
        Kind.REF_MOVED,
        Kind.VERDICT_REACHED,
        Kind.REGRESSION,
    }
)
WITHDRAWS = frozenset({Kind.DELETED, Kind.MOVED, Kind.CONFIGURED, Kind.QUARANTINED, Kind.YANKED})
FIRST = datetime(2000, 1, 1, tzinfo=UTC)  # due before all that only adds or renews: withdrawals wait for nothing
BATCH = 500
AT_ONCE = 10_000  # names that are found to be missing by one query


def request(names: Iterable[str], *, withdraws: bool = False) -> None:
    """Have the documents of these names (NS/NAME) written again; call it in the transaction of the change.

    With `withdraws`, something may have to go, and they come first.
    """
    if not settings.PLANE_URL:
        return
    rows = [PlaneRequest(name=name, withdraws=withdraws) for name in sorted(set(names))]
    PlaneRequest.objects.bulk_create(rows, batch_size=BATCH)
    doorbell: Callable[[], Any] = import_string(settings.PLANE_DOORBELL)
    transaction.on_commit(doorbell, robust=True)  # a broker that is down costs half a minute, until the next sweep


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


@dataclass(frozen=True, slots=True)
class Waiting:
    """Requests and names that are due: their number, that of withdrawals, and the time of the oldest other one."""

    count: int
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
    if withdrawing:
        request(withdrawing, withdraws=True)
    if adding - withdrawing:
        request(adding - withdrawing)


def withdraws(event: OutboxEvent) -> bool:
    """Return whether somebody may be unable to pull since this event what they could pull before."""
    is_ref_deleted = event.kind == Kind.REF_MOVED and event.data["new"] is None
    return is_ref_deleted or event.kind in WITHDRAWS


def request_owned_by(namespace: int) -> None:
    """Request all repositories of a namespace, whose owner may have been suspended or let in again."""
    owned = Repository.objects.filter(type=Repository.Type.MODEL, namespace=namespace).select_related("namespace")
    request((repository.full_name for repository in owned.iterator()), withdraws=True)


def request_missing() -> int:
    """Request the public repositories that have no row; return their number."""
    if not settings.PLANE_URL:
        return 0
    named = public_repositories().order_by().annotate(asked=_full_name())
    known = [Exists(rows.filter(name=OuterRef("asked"))) for rows in (PlaneName.objects, PlaneRequest.objects)]
    missing = named.exclude(known[0] | known[1]).values_list("asked", flat=True)
    requested = 0
    while names := list(missing[:AT_ONCE]):
        request(names)
        requested += len(names)
    return requested


def request_hidden() -> int:
    """Request what has documents and is not public, which an event that was given up has not done; return how many."""
    public = public_repositories().order_by().annotate(asked=_full_name()).filter(asked=OuterRef("name"))
    hidden = list(PlaneName.objects.filter(~Exists(public), signed_at__isnull=False).values_list("name", flat=True))
    if hidden:
        request(hidden, withdraws=True)
    return len(hidden)


def _full_name() -> Concat:
    return Concat("namespace__name", Value("/"), "name", output_field=CharField())


def public_repositories() -> QuerySet[Repository]:
    """Return the repositories that anybody may see and download, as far as no pull policy keeps them back."""
    return Repository.objects.filter(policy.visible_to(policy.NOBODY), type=Repository.Type.MODEL, gated="")
