"""Other hubs in the domain: names that they hold, files that they gave, and numbers for Prometheus."""

from collections.abc import Iterator

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from features.upstream import asking, names, records, store
from features.upstream.models import UpstreamFile
from registry.kernel.seams import Feature, Gauge


def _counts() -> Iterator[Gauge]:
    size = UpstreamFile.objects.aggregate(size=Sum("size"))["size"] or 0
    yield Gauge("dovetail_upstream_bytes", "Bytes of other hubs, a minute old.", size)


def _gauges() -> Iterator[Gauge]:
    help = "Since when another hub has not answered; 0 if it did when it was last asked."
    for hub in settings.UPSTREAM.hubs:
        since = asking.silent_since(hub.url)
        seconds = (timezone.now() - since).total_seconds() if since else 0.0
        yield Gauge("dovetail_upstream_silence_seconds", help, seconds, {"hub": hub.url})


FEATURE = Feature(
    every_hour=(store.forget,),
    blobs=(UpstreamFile.objects.all,),
    gauges=_gauges,
    counts=_counts,
    holds_name=names.is_read_elsewhere,
    take_name=names.take_over,
    not_here=records.refuse_arriving,
)
