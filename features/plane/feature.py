"""The read plane in the domain: it follows events and other changes, is told of where pulls are, and has its gauges."""

from collections.abc import Iterator

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from features.plane import documents, names
from features.plane.models import PlaneName
from registry.kernel.seams import Feature, Gauge

COUNTED_SECONDS = 60


def _counted() -> dict[str, int]:
    signed = {"signed": PlaneName.objects.filter(signed_at__isnull=False).count()}
    return signed | ({"public": names.public_repositories().count()} if settings.PLANE_URL else {})


def _gauges() -> Iterator[Gauge]:
    """Yield how the read plane compares with the public repositories, and how long the oldest change waits."""
    waiting = names.waiting()
    counted = cache.get_or_set("plane:repositories", _counted, COUNTED_SECONDS) or {}
    help = "Repositories in the read plane: public ones, signed ones, those that wait, and those that may have to go."
    for state, number in {**counted, "waiting": waiting.number, "withdrawn": waiting.withdrawals}.items():
        yield Gauge("dovetail_plane_repositories", help, number, {"state": state})
    age = max((timezone.now() - waiting.since).total_seconds(), 0.0) if waiting.since else 0.0
    yield Gauge("dovetail_plane_age_seconds", "How long the oldest addition has waited.", age)


FEATURE = Feature(
    consumers=(("plane", names.consume),),
    recorded=lambda events: names.request_for(filter(names.withdraws, events)),
    pulls_changed=names.request_among,
    mirror=documents.stated,
    public_address=documents.public_address,
    every_minute=(names.tell_workers,),
    every_hour=(lambda: names.sweep(hour=timezone.now().hour),),
    gauges=_gauges,
)
