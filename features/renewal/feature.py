"""Renewals in the domain: how many verdicts wait to be proven again, and how many were."""

from collections.abc import Collection, Iterator
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from features.renewal import verbs
from registry.kernel.seams import Feature, Gauge
from registry.models import Verdict


def _counts() -> Iterator[Gauge]:
    failed = "Versions that are main or verified, and for which a program of Use failed here."
    yield Gauge("dovetail_failed_programs", failed, verbs.with_failed_programs().count())
    renewals = Verdict.objects.filter(cause=Verdict.Cause.RENEWAL)
    waiting = renewals.filter(state=Verdict.State.QUEUED).count()
    yield Gauge("dovetail_renewals_waiting", "Queued verdicts that the hub renews, as then.", waiting)
    lately = renewals.filter(finished_at__gt=Now() - timedelta(hours=1), duration_ms__isnull=False)
    yield Gauge("dovetail_hour_renewals", "Renewed verdicts of the last hour, as then.", lately.count())


def _renew(engines: Collection[str], provenances: Collection[str]) -> None:
    verbs.renew(provenances, engines, settings.RENEWALS_AN_HOUR)


FEATURE = Feature(counts=_counts, renew=_renew)
