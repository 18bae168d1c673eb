"""Deliveries to webhooks: queue them, claim one, record the outcome, retry, and sweep.

A delivery's row is the job, as with verdicts: the message in the queue is only a hint, and a worker claims the row by a
conditional UPDATE.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from features.webhooks.models import Delivery, Webhook
from registry.kernel.errors import Missing, TooOften

LEASE_SECONDS = 60  # longer than one attempt can take
PAUSES = (10, 60, 600, 3600, 6 * 3600)  # seconds after each failed attempt; after the last one the delivery fails
KEPT_DAYS, KEPT = 30, 1_000  # the deliveries of a webhook that are kept
MAX_WAITING = 500  # pending deliveries of one person; more are dropped
RUNG_AT_ONCE = 100
State = Delivery.State


class WebhookNotFound(Missing):
    code = "webhook-not-found"
    default_fix = "List your webhooks at /settings/webhooks."


def queue(rows: Sequence[Delivery]) -> None:
    """Store deliveries and notify a worker of each after the commit."""
    for row in Delivery.objects.bulk_create(rows):
        transaction.on_commit(partial(notify, row.pk), robust=True)


def with_room(hooks: Sequence[Webhook]) -> list[Webhook]:
    """Return the webhooks whose owners have fewer than MAX_WAITING pending deliveries: one event may create fifty."""
    owners = {hook.owner_id for hook in hooks}
    waiting = Delivery.objects.filter(state=State.WAITING, webhook__owner__in=owners).values("webhook__owner")
    room = dict.fromkeys(owners, MAX_WAITING)
    for row in waiting.annotate(rows=Count("pk")) if owners else ():
        room[row["webhook__owner"]] -= row["rows"]
    hooks_with_room = []
    for hook in hooks:
        room[hook.owner_id] -= 1
        if room[hook.owner_id] >= 0:
            hooks_with_room.append(hook)
    return hooks_with_room


def owner_of(delivery: int) -> int | None:
    """Return the owner of a delivery's webhook; None if the delivery is gone."""
    return Delivery.objects.filter(pk=delivery).values_list("webhook__owner", flat=True).first()


def put_off(delivery: int, seconds: int) -> None:
    """Postpone an unclaimed delivery, so that those of other owners go first."""
    now = timezone.now()
    free = Delivery.objects.filter(pk=delivery, state=State.WAITING, due_at__lte=now)
    free.update(due_at=now + timedelta(seconds=seconds))


def notify(delivery: int) -> None:
    """Notify the workers of this row. A lost message costs half a minute, until the next sweep."""
    send: Callable[[int], bool] = import_string(settings.POSTMAN)
    send(delivery)


def claim(delivery: int) -> Delivery | None:
    """Claim a delivery; None if it is finished, claimed, not due, or its webhook is disabled."""
    now = timezone.now()
    free = waiting().filter(pk=delivery, due_at__lte=now)
    taken = Delivery.objects.filter(pk__in=free.values("pk"), state=State.WAITING, due_at__lte=now)
    if not taken.update(attempts=F("attempts") + 1, due_at=now + timedelta(seconds=LEASE_SECONDS)):
        return None
    return (
        Delivery.objects.select_related("webhook__owner").filter(pk=delivery).first()
    )  # None if the webhook was deleted


def record(claimed: Delivery, entry: Mapping[str, object]) -> None:
    """Record the outcome of an attempt: `entry` has `status` (None without an answer), `answer` or `problem`, `ms`.

    Any 2xx is a success; anything else is tried again with growing pauses, then the delivery fails.
    """
    now, status = timezone.now(), entry.get("status")
    is_success = isinstance(status, int) and 200 <= status < 300
    is_last = claimed.attempts > len(PAUSES)
    changed: dict[str, Any] = {
        "log": [*claimed.log, {"at": now.isoformat(), **entry}],
        "status": status,
        "state": State.SENT if is_success else State.FAILED if is_last else State.WAITING,
    }
    if changed["state"] == State.WAITING:
        changed["due_at"] = now + timedelta(seconds=PAUSES[claimed.attempts - 1])
    # If the lease ran out and another worker claimed the row, `attempts` is higher and that worker's result counts.
    Delivery.objects.filter(pk=claimed.pk, attempts=claimed.attempts).update(**changed)
    _forget_old(claimed.webhook)


def _forget_old(webhook: Webhook) -> None:
    """Delete all but the newest deliveries of a webhook and the pending ones."""
    oldest = webhook.deliveries.order_by("-pk").values_list("pk", flat=True)[KEPT : KEPT + 1].first()
    if oldest is not None:
        webhook.deliveries.filter(pk__lte=oldest).exclude(state=State.WAITING).delete()


def redeliver(webhook: Webhook, number: int) -> Delivery:
    """Queue the same payload as a new delivery. Raises WebhookNotFound, and TooOften for too many pending ones."""
    old = webhook.deliveries.filter(pk=number).first()
    if old is None:
        raise WebhookNotFound("This webhook has no such delivery.")
    if not with_room([webhook]):
        raise TooOften(f"{MAX_WAITING} messages to your webhooks wait.", fix="Disable those that do not answer.")
    with transaction.atomic():
        again = Delivery.objects.create(webhook=webhook, payload=old.payload)
        transaction.on_commit(lambda: notify(again.pk), robust=True)
    return again


def waiting() -> QuerySet[Delivery]:
    """Return the deliveries that are still to be sent: not those of a webhook that is off, or whose owner is."""
    return Delivery.objects.filter(state=State.WAITING, webhook__disabled=False, webhook__owner__is_active=True)


def sweep() -> int:
    """Notify workers of due deliveries and delete old ones; return the number of notified rows."""
    now = timezone.now()
    Delivery.objects.filter(created_at__lt=now - timedelta(days=KEPT_DAYS)).delete()
    tried = Delivery.objects.filter(state=State.WAITING, due_at__lte=now, attempts__gt=len(PAUSES))
    tried.update(state=State.FAILED)  # the worker of the last attempt died
    due = waiting().filter(due_at__lte=now).order_by("due_at")
    numbers = list(due.values_list("pk", flat=True)[:RUNG_AT_ONCE])
    for number in numbers:
        notify(number)
    return len(numbers)
