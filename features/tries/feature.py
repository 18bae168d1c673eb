"""Tries in the domain: their sweep, and their numbers for Prometheus."""

from collections.abc import Iterator

from django.db.models import Avg, Count, F
from django.db.models.functions import Now

from features.tries import verbs
from features.tries.models import Tryout
from registry.kernel.seams import Feature, Gauge


def _gauges() -> Iterator[Gauge]:
    """Yield the tries of the last hour by state, and the mean seconds that the answered ones waited and took."""
    tries = Tryout.objects.filter(asked_at__gt=Now() - verbs.KEPT).order_by()
    numbers = dict(tries.values_list("state").annotate(Count("pk")))
    for state in Tryout.State.values:
        yield Gauge("dovetail_hour_tries", "Tries of the last hour.", numbers.get(state, 0), {"state": state})
    times = {"wait": Avg(F("started_at") - F("asked_at")), "work": Avg(F("finished_at") - F("started_at"))}
    for part, mean in tries.filter(state=Tryout.State.DONE).aggregate(**times).items():
        if mean is not None:
            help = "Mean time of the answered ones."
            yield Gauge("dovetail_hour_try_mean_seconds", help, mean.total_seconds(), {"part": part})


FEATURE = Feature(every_minute=(verbs.sweep,), gauges=_gauges)
