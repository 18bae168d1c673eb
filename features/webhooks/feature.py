"""Webhooks in the domain: a consumer of events, a sweep, and a number for Prometheus."""

from collections.abc import Iterator

from django.db.models import Min
from django.utils import timezone

from features.webhooks import deliveries
from features.webhooks.models import Webhook
from registry.kernel.seams import Feature, Gauge


def _gauges() -> Iterator[Gauge]:
    since = deliveries.waiting().aggregate(since=Min("due_at"))["since"]
    seconds = max((timezone.now() - since).total_seconds(), 0.0) if since else 0.0
    yield Gauge("dovetail_webhook_overdue_seconds", "How long the oldest webhook delivery is overdue.", seconds)


FEATURE = Feature(
    consumers=(("webhooks", deliveries.consume),),
    every_minute=(deliveries.sweep,),
    forget=lambda user: Webhook.objects.filter(owner=user).delete(),
    gauges=_gauges,
)
