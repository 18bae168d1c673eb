"""Renewals in the domain: how many verdicts wait to be proven again, and how many were."""

from collections.abc import Collection, Iterator
from datetime import timedelta

from django.conf import settings
from django.core.cache import cache
from django.db.models.functions import Now

from features.renewal import verbs
from registry.kernel.seams import Feature, Gauge
from registry.models import Verdict

COUNTED_SECONDS = 60


def _counted() -> tuple[int, int, int]:
    renewals = Verdict.objects.filter(cause=Verdict.Cause.RENEWAL)
    lately = renewals.filter(finished_at__gt=Now() - timedelta(hours=1), duration_ms__isnull=False)
    waiting = renewals.filter(state=Verdict.State.QUEUED)
    return verbs.with_failed_programs().count(), waiting.count(), lately.count()


def _gauges() -> Iterator[Gauge]:
    failed, waiting, lately = cache.get_or_set("renewal:counted", _counted, COUNTED_SECONDS) or _counted()
    help = "Versions that are main or verified, and for which a program of Use failed here."
    yield Gauge("dovetail_failed_programs", help, failed)
    yield Gauge("dovetail_renewals_waiting", "Queued verdicts that the hub renews, a minute old.", waiting)
    yield Gauge("dovetail_hour_renewals", "Renewed verdicts of the last hour, a minute old.", lately)


def _renew(engines: Collection[str], provenances: Collection[str]) -> None:
    verbs.renew(provenances, engines, settings.RENEWALS_AN_HOUR)


FEATURE = Feature(gauges=_gauges, renew=_renew)
