"""The read plane in the domain: it follows events and other changes, is told of where pulls are, and has its gauges."""

from collections.abc import Iterator

from django.conf import settings
from django.utils import timezone

from features.plane import documents, names
from features.plane.models import PlaneName
from registry.kernel.seams import Feature, Gauge

HELP = "Repositories in the read plane: public ones, signed ones, those that wait, and those that may have to go."


def _repositories(state: str, number: int) -> Gauge:
    return Gauge("dovetail_plane_repositories", HELP, number, {"state": state})


def _counts() -> Iterator[Gauge]:
    yield _repositories("signed", PlaneName.objects.filter(signed_at__isnull=False).count())
    if settings.PLANE_URL:
        yield _repositories("public", names.public_repositories().count())


def _gauges() -> Iterator[Gauge]:
    waiting = names.waiting()
    yield _repositories("waiting", waiting.number)
    yield _repositories("withdrawn", waiting.withdrawals)
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
    counts=_counts,
)
