"""Alerts owners that what they hold comes close to their quota, and of another quota."""

from registry.models import Alert, Namespace, OutboxEvent
from registry.talk.alerts import alert_rows, recipients

Kind = Alert.Kind


def reached(event: OutboxEvent) -> None:
    """Alert the owners that little or nothing more has room, in place of an unread alert about it."""
    data = {name: event.data[name] for name in ("owner", "percent", "bytes", "limit")}
    Alert.objects.filter(kind=Kind.QUOTA, data__owner=data["owner"], read_at__isnull=True).delete()
    _alert_owners(event, Kind.QUOTA, data)


def changed(event: OutboxEvent) -> None:
    """Alert the owners of their new limits; which administrator set them is not told."""
    data = {name: event.data[name] for name in ("owner", "bytes", "repositories", "reason")}
    _alert_owners(event, Kind.QUOTA_CHANGED, data)


def _alert_owners(event: OutboxEvent, kind: Alert.Kind, data: dict[str, object]) -> None:
    if namespace := Namespace.objects.filter(pk=event.data["namespace"]).first():
        people = recipients.owners_of(namespace)[: recipients.MAX_RECIPIENTS]
        alert_rows.create([user.pk for user in people], kind, data=data)
