"""Deliveries of messages to webhooks: queue them, claim one, record how it went, retry, and sweep.

A delivery's row is the job, as with verdicts: the message in the queue is only a hint, and a worker takes the row by a
conditional UPDATE.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q
from django.utils import timezone
from django.utils.module_loading import import_string

from registry.kernel.errors import TooOften, WebhookNotFound
from registry.models import Delivery, Webhook

LEASE_SECONDS = 60  # longer than one attempt can take
PAUSES = (10, 60, 600, 3600, 6 * 3600)  # seconds after each attempt that failed; after the last one it is given up
KEPT_DAYS, KEPT = 30, 1_000  # how long, and how many of each webhook
MAX_WAITING = 500  # messages to all webhooks of one person; more are dropped
RUNG_AT_ONCE = 100
State = Delivery.State


def queue(rows: Sequence[Delivery]) -> None:
    """Write deliveries down and ring for each after the commit."""
    for row in Delivery.objects.bulk_create(rows):
        transaction.on_commit(partial(ring, row.pk), robust=True)


def with_room(hooks: Sequence[Webhook]) -> list[Webhook]:
    """Leave out webhooks whose owner has MAX_WAITING messages waiting: one event could be fifty rows, for ever."""
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
    """Return whose webhook a message is for; None for a message that is gone."""
    return Delivery.objects.filter(pk=delivery).values_list("webhook__owner", flat=True).first()


def put_off(delivery: int, seconds: int) -> None:
    """Postpone a message that no worker has claimed, behind those of other owners."""
    now = timezone.now()
    free = Delivery.objects.filter(pk=delivery, state=State.WAITING, due_at__lte=now)
    free.update(due_at=now + timedelta(seconds=seconds))


def ring(delivery: int) -> None:
    """Nudge the workers to send this row. A lost message costs half a minute, until the sweep rings again."""
    doorbell: Callable[[int], bool] = import_string(settings.POSTMAN)
    doorbell(delivery)


def claim(delivery: int) -> Delivery | None:
    """Take the job if it is there to be taken; None when it is done, taken, not due yet, or not wanted any more."""
    now = timezone.now()
    is_wanted = Q(webhook__disabled=False, webhook__owner__is_active=True)
    free = Delivery.objects.filter(is_wanted, pk=delivery, state=State.WAITING, due_at__lte=now)
    taken = Delivery.objects.filter(pk__in=free.values("pk"), state=State.WAITING, due_at__lte=now)
    if not taken.update(attempts=F("attempts") + 1, due_at=now + timedelta(seconds=LEASE_SECONDS)):
        return None
    return Delivery.objects.select_related("webhook__owner").filter(pk=delivery).first()  # gone with its webhook


def record(claimed: Delivery, entry: Mapping[str, object]) -> None:
    """Write down how an attempt ended: `entry` has `status` (None without an answer), `answer` or `problem`, `ms`.

    Any 2xx is a success; everything else is tried again, each time later, and at last given up.
    """
    now, status = timezone.now(), entry.get("status")
    heard = isinstance(status, int) and 200 <= status < 300
    is_last = claimed.attempts > len(PAUSES)
    changed: dict[str, Any] = {
        "log": [*claimed.log, {"at": now.isoformat(), **entry}],
        "status": status,
        "state": State.SENT if heard else State.FAILED if is_last else State.WAITING,
    }
    if changed["state"] == State.WAITING:
        changed["due_at"] = now + timedelta(seconds=PAUSES[claimed.attempts - 1])
    # A worker that claimed the row after our lease ran out counted one attempt more: its result stands.
    Delivery.objects.filter(pk=claimed.pk, attempts=claimed.attempts).update(**changed)
    _forget_old(claimed.webhook)


def _forget_old(webhook: Webhook) -> None:
    """Keep the newest messages of a webhook, and what still waits."""
    oldest = webhook.deliveries.order_by("-pk").values_list("pk", flat=True)[KEPT : KEPT + 1].first()
    if oldest is not None:
        webhook.deliveries.filter(pk__lte=oldest).exclude(state=State.WAITING).delete()


def redeliver(webhook: Webhook, number: int) -> Delivery:
    """Send the same message once more, as a new delivery. Raises WebhookNotFound, and TooOften where much waits."""
    old = webhook.deliveries.filter(pk=number).first()
    if old is None:
        raise WebhookNotFound("This webhook was told no such thing.")
    if not with_room([webhook]):
        raise TooOften(f"{MAX_WAITING} messages to your webhooks wait.", fix="Disable those that do not answer.")
    with transaction.atomic():
        again = Delivery.objects.create(webhook=webhook, payload=old.payload)
        transaction.on_commit(lambda: ring(again.pk), robust=True)
    return again


def sweep() -> int:
    """Ring for what is due, and forget what is old; returns for how many it rang."""
    now = timezone.now()
    Delivery.objects.filter(created_at__lt=now - timedelta(days=KEPT_DAYS)).delete()
    tried = Delivery.objects.filter(state=State.WAITING, due_at__lte=now, attempts__gt=len(PAUSES))
    tried.update(state=State.FAILED)  # the worker of the last attempt died
    due = Delivery.objects.filter(state=State.WAITING, due_at__lte=now, webhook__disabled=False).order_by("due_at")
    numbers = list(due.values_list("pk", flat=True)[:RUNG_AT_ONCE])
    for number in numbers:
        ring(number)
    return len(numbers)
