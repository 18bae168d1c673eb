"""The state of the registry as Prometheus gauges, read from the database when asked; metrics.py counts requests.

Counts over whole tables are cached for a minute, or longer where counting would take more than 1 % of the time.
"""

import threading
import time
from collections.abc import Iterator

from django.conf import settings
from django.db.models import Count, Min, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from registry.models.blobs import Blob, ChunkingJob
from registry.models.repositories import Repository, Revision
from registry.models.upstream import UpstreamFile
from registry.models.verdicts import Verdict, WorkerHeartbeat
from registry.upstream import asking

KEPT_SECONDS, SHARE = 60, 100
UNFINISHED = (Verdict.State.QUEUED, Verdict.State.RUNNING)


class _Registry(Collector):
    """Numbers from the database, which are the same in every process."""

    def collect(self) -> Iterator[Metric]:
        waiting = Verdict.objects.filter(state=Verdict.State.QUEUED).aggregate(since=Min("queued_at"))["since"]
        age = (timezone.now() - waiting).total_seconds() if waiting else 0.0
        yield GaugeMetricFamily("dovetail_queue_age_seconds", "How long the oldest queued verdict has waited.", age)
        totals = _Totals.get()
        yield _verdicts(totals.verdicts)
        yield GaugeMetricFamily("dovetail_adapters", "Repositories, counted about a minute ago.", totals.adapters)
        yield GaugeMetricFamily("dovetail_revisions", "Revisions, counted about a minute ago.", totals.revisions)
        yield GaugeMetricFamily("dovetail_blobs", "Stored objects, counted about a minute ago.", totals.blobs)
        yield GaugeMetricFamily("dovetail_blob_bytes", "Bytes of stored objects, as then.", totals.blob_bytes)
        yield GaugeMetricFamily("dovetail_uncut_files", "Files that came by Git LFS and wait to be cut.", totals.uncut)
        yield GaugeMetricFamily("dovetail_upstream_bytes", "Bytes of other hubs, as then.", totals.upstream_bytes)
        yield _silent_hubs()
        yield _workers()


class _Totals:
    """The latest counts over whole tables."""

    _lock = threading.Lock()
    _last: "_Totals | None" = None

    def __init__(self) -> None:
        began = time.monotonic()
        finished = Verdict.objects.exclude(state__in=UNFINISHED).order_by()
        self.verdicts: dict[str, int] = dict(finished.values_list("state").annotate(Count("pk")))
        self.adapters = Repository.objects.count()
        self.revisions = Revision.objects.count()
        stored = Blob.objects.aggregate(number=Count("pk"), size=Sum("size"))
        self.blobs, self.blob_bytes = stored["number"], stored["size"] or 0
        self.upstream_bytes = UpstreamFile.objects.aggregate(size=Sum("size"))["size"] or 0
        self.uncut = ChunkingJob.objects.count()
        ended = time.monotonic()
        self._good_until = ended + max(KEPT_SECONDS, SHARE * (ended - began))

    @classmethod
    def get(cls) -> "_Totals":
        with cls._lock:  # one request counts, the others wait for its result
            if cls._last is None or time.monotonic() > cls._last._good_until:
                cls._last = cls()
            return cls._last


def _verdicts(finished: dict[str, int]) -> Metric:
    """Return the verdicts by state; unfinished ones are few and counted now."""
    unfinished = Verdict.objects.filter(state__in=UNFINISHED).order_by()
    counted = finished | dict(unfinished.values_list("state").annotate(Count("pk")))
    help = "Verdicts by state; finished ones counted about a minute ago."
    family = GaugeMetricFamily("dovetail_verdicts", help, labels=["state"])
    for state in Verdict.State.values:
        family.add_metric([state], counted.get(state, 0))
    return family


def _silent_hubs() -> Metric:
    help = "Since when another hub has not answered; 0 if it did when it was last asked."
    family = GaugeMetricFamily("dovetail_upstream_silence_seconds", help, labels=["hub"])
    for hub in settings.UPSTREAM.hubs:
        since = asking.silent_since(hub.url)
        family.add_metric([hub.url], (timezone.now() - since).total_seconds() if since else 0.0)
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
