"""The state of the registry as Prometheus gauges, read from the database when asked; metrics.py counts requests."""

from collections.abc import Iterator

from django.db.models import Count, Min, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from registry.models.adapters import Adapter, Revision
from registry.models.blobs import Blob
from registry.models.verdicts import Verdict, WorkerHeartbeat


class _Registry(Collector):
    """Numbers that every process would tell alike, because they are read from the database."""

    def collect(self) -> Iterator[Metric]:
        yield _verdicts()
        waiting = Verdict.objects.filter(state=Verdict.State.QUEUED).aggregate(since=Min("queued_at"))["since"]
        age = (timezone.now() - waiting).total_seconds() if waiting else 0.0
        yield GaugeMetricFamily("dovetail_queue_age_seconds", "How long the oldest queued verdict has waited.", age)
        yield GaugeMetricFamily("dovetail_adapters", "Repositories.", Adapter.objects.count())
        yield GaugeMetricFamily("dovetail_revisions", "Revisions.", Revision.objects.count())
        blobs = Blob.objects.aggregate(number=Count("pk"), size=Sum("size"))
        yield GaugeMetricFamily("dovetail_blobs", "Stored objects.", blobs["number"])
        yield GaugeMetricFamily("dovetail_blob_bytes", "Bytes of stored objects.", blobs["size"] or 0)
        yield _workers()


def _verdicts() -> Metric:
    counted = dict(Verdict.objects.values_list("state").annotate(Count("pk")).order_by())
    family = GaugeMetricFamily("dovetail_verdicts", "Verdicts by state.", labels=["state"])
    for state in Verdict.State.values:
        family.add_metric([state], counted.get(state, 0))
    return family


def _workers() -> Metric:
    family = GaugeMetricFamily(
        "dovetail_worker_silence_seconds", "Since a worker's last sign of life.", labels=["worker"]
    )
    for worker, beat_at in WorkerHeartbeat.objects.order_by("-beat_at").values_list("worker", "beat_at")[:100]:
        family.add_metric([worker], (timezone.now() - beat_at).total_seconds())
    return family


def exposition() -> bytes:
    """Return the gauges in Prometheus' text format."""
    state = CollectorRegistry()
    state.register(_Registry())
    return generate_latest(state)
