"""Tells owners that what they hold comes close to their quota: once at 80 % and once when it is full.

An alert is armed again when the use falls below its mark. Pushes note crossings in their own transaction, `review`
those by other ways, such as a lower limit.
"""

from collections.abc import Iterator
from contextlib import suppress

from django.db import transaction
from django.db.models import Sum

from registry.kernel import outbox
from registry.kernel.errors import NamespaceNotFound
from registry.kernel.limits import quota_limits, stored_bytes
from registry.models import Namespace, NamespaceQuota, Repository

NEAR, FULL = 80, 100  # percent


def mark_of(used: int, limit: int) -> int:
    """Return the highest mark that a use has reached: 0, NEAR or FULL."""
    percent = 100 * used // limit if limit else 0
    return next((mark for mark in (FULL, NEAR) if percent >= mark), 0)


def note(namespace: Namespace, before: int, after: int, limit: int) -> bool:
    """Record an alert if the use rises to a mark; call it under the lock of the namespace. Return whether it did."""
    mark = mark_of(after, limit)
    if not mark:
        return False  # what was alerted before counts no more: the next rise begins below a mark
    alerted = NamespaceQuota.objects.filter(namespace=namespace).values_list("alerted", flat=True).first() or 0
    if mark != alerted:
        NamespaceQuota.objects.update_or_create(namespace=namespace, defaults={"alerted": mark})
    if mark <= min(alerted, mark_of(before, limit)):
        return False
    outbox.record(
        outbox.Kind.QUOTA_REACHED,
        None,
        namespace=namespace.pk,
        owner=namespace.name,
        percent=mark,
        bytes=after,
        limit=limit,
    )  # fmt: skip
    return True


def review() -> int:
    """Note every namespace that is at a mark without an alert, and arm those that fell below; return the alerts."""
    noted = 0
    for number in _candidates():
        with suppress(NamespaceNotFound), transaction.atomic():
            namespace = quota_limits.lock(number)
            used, limit = stored_bytes.bytes_used(namespace), quota_limits.limits_of(namespace).bytes
            if mark := mark_of(used, limit):
                noted += note(namespace, used, used, limit)
            alerted = NamespaceQuota.objects.filter(namespace=number, alerted__gt=mark)
            alerted.update(alerted=mark)
    return noted


def _candidates() -> Iterator[int]:
    """Return the ids of namespaces that have a row here, or that hold most of the hub's own limit."""
    yield from NamespaceQuota.objects.values_list("namespace", flat=True)
    for kind in Namespace.Kind.values:
        if limit := quota_limits.hub_limits(kind).bytes:
            rows = Repository.with_binned.filter(namespace__kind=kind, namespace__quota=None).order_by()
            sums = rows.values("namespace").annotate(held=Sum("stored_bytes"))
            yield from sums.filter(held__gte=limit * NEAR // 100).values_list("namespace", flat=True)
