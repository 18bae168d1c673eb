"""The state of the registry and the machine as Prometheus gauges, read when asked; metrics.py counts requests.

Counts over whole tables are cached for a minute, or longer where counting would take more than 1 % of the time.
"""

import math
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

from django.conf import settings
from django.db.models import Avg, Count, Max, Min, Q, QuerySet, Sum
from django.db.models.fields.json import KT
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hub.monitoring import metrics
from registry.kernel import processes, seams
from registry.models.blobs import Blob
from registry.models.hub_state import ClockLease, OutboxEvent
from registry.models.repositories import Repository, Revision
from registry.models.verdicts import Attempt, Verdict, WorkerHeartbeat
from registry.proof import pickle_scans
from registry.proof.verdicts.queue import LOST

Result = TypeVar("Result")
KEPT_SECONDS, SHARE = 60, 100
BASES_MOST = 50  # with the longest queues; each is a series
WORKERS_MOST = 100  # with the latest signs of life; each is a series
UNFINISHED = (Verdict.State.QUEUED, Verdict.State.RUNNING)
# Of a base that nobody added: it waits for 30 days, which is no fault of the hub's.
_WITHOUT_BASE = Q(turn__isnull=True, held_at__isnull=True, not_before__isnull=True, route="")


def queued() -> QuerySet[Verdict]:
    """Return the verdicts that wait for a worker, but those whose base this hub does not have."""
    return Verdict.objects.filter(state=Verdict.State.QUEUED).exclude(_WITHOUT_BASE)


class Kept(Generic[Result]):
    """The last result of a count: for a minute, or longer where counting would take more than 1 % of the time."""

    def __init__(self, count: Callable[[], Result], seconds: float = KEPT_SECONDS) -> None:
        self._count, self._seconds = count, seconds
        self._lock = threading.Lock()
        self._last: Result | None = None
        self._good_until = float("-inf")

    def get(self) -> Result:
        """Return the last result, or count: one request does it, the others wait for its result."""
        with self._lock:
            began = time.monotonic()
            if self._last is None or began > self._good_until:
                self._last = self._count()
                ended = time.monotonic()
                self._good_until = ended + max(self._seconds, SHARE * (ended - began))
            return self._last

    def forget(self) -> None:
        self._last = None

    @property
    def last(self) -> Result | None:
        """The last result, however old, if there is one; nothing is counted."""
        return self._last


class _Registry(Collector):
    """Numbers from the database, which are the same in every process."""

    def collect(self) -> Iterator[Metric]:
        since = queued().aggregate(since=Min("queued_at"))["since"]
        help = "How long the oldest queued verdict has waited, but those whose base this hub does not have."
        yield GaugeMetricFamily("dovetail_queue_age_seconds", help, _age(since))
        totals = kept_totals.get()
        yield _verdicts(totals.verdicts)
        yield GaugeMetricFamily("dovetail_adapters", "Repositories, counted about a minute ago.", totals.adapters)
        yield GaugeMetricFamily("dovetail_revisions", "Revisions, counted about a minute ago.", totals.revisions)
        yield GaugeMetricFamily("dovetail_blobs", "Stored objects, counted about a minute ago.", totals.blobs)
        yield GaugeMetricFamily("dovetail_blob_bytes", "Bytes of stored objects, a minute old.", totals.blob_bytes)
        yield from _queues(totals.queues)
        yield from _verdicts_of_the_hour(totals.hour)
        lost = "Attempts of the last hour whose worker died."
        yield GaugeMetricFamily("dovetail_hour_lost_attempts", lost, totals.lost_attempts)
        given_up = "Events that were given up after their last attempt, as then; at /admin they can be tried again."
        yield GaugeMetricFamily("dovetail_given_up_events", given_up, totals.given_up)
        event = OutboxEvent.objects.filter(given_up_at__isnull=True).order_by("pk").values_list("at", flat=True).first()
        help = "How long the oldest event of the outbox has waited for its consumers."
        yield GaugeMetricFamily("dovetail_outbox_age_seconds", help, _age(event))
        help = "How long the oldest version has waited for its search for code, but for authors whose day is used up."
        yield GaugeMetricFamily("dovetail_search_age_seconds", help, _age(pickle_scans.waiting_since()))
        yield from _of_features(totals.of_features)
        yield from _workers()
        yield _clock()


class _Totals:
    """Counts over whole tables."""

    def __init__(self) -> None:
        finished = Verdict.objects.exclude(state__in=UNFINISHED).order_by()
        self.verdicts: dict[str, int] = dict(finished.values_list("state").annotate(Count("pk")))
        self.adapters = Repository.objects.count()
        self.revisions = Revision.objects.count()
        stored = Blob.objects.aggregate(number=Count("pk"), size=Sum("size"))
        self.blobs, self.blob_bytes = stored["number"], stored["size"] or 0
        queued = Verdict.objects.filter(state=Verdict.State.QUEUED).order_by()
        by_base = queued.values("route").annotate(number=Count("pk"), since=Min("queued_at"))
        self.queues = list(by_base.order_by("-number", "route").values_list("route", "number", "since")[:BASES_MOST])
        hour = timezone.now() - timedelta(hours=1)
        of_hour = Verdict.objects.filter(finished_at__gt=hour, duration_ms__isnull=False).order_by()
        numbers = {"number": Count("pk"), "mean": Avg("duration_ms"), "most": Max("duration_ms")}
        by_engine = of_hour.values("format", "state", engine=KT("result__engines__0__name"))
        self.hour = list(by_engine.annotate(**numbers).values_list("format", "state", "engine", *numbers))
        self.given_up = OutboxEvent.objects.filter(given_up_at__isnull=False).count()
        self.lost_attempts = Attempt.objects.filter(ended_at__gt=hour, outcome=LOST).count()
        self.of_features = [gauge for feature in seams.joined() for gauge in feature.counts()]


kept_totals = Kept(_Totals)


def _verdicts(finished: dict[str, int]) -> Metric:
    """Return the verdicts by state; unfinished ones are few and counted now."""
    unfinished = Verdict.objects.filter(state__in=UNFINISHED).order_by()
    counted = finished | dict(unfinished.values_list("state").annotate(Count("pk")))
    help = "Verdicts by state; finished ones counted about a minute ago."
    family = GaugeMetricFamily("dovetail_verdicts", help, labels=["state"])
    for state in Verdict.State.values:
        family.add_metric([state], counted.get(state, 0))
    return family


def _queues(queues: list[tuple[str, int, datetime]]) -> Iterator[Metric]:
    """Yield number and age of the verdicts that wait, by base; "" stands for those that need none."""
    number = GaugeMetricFamily("dovetail_base_queue", "Verdicts that wait, by base, as then.", labels=["base"])
    age_help = "How long the oldest verdict of a base has waited, as then."
    age = GaugeMetricFamily("dovetail_base_queue_age_seconds", age_help, labels=["base"])
    for base, verdicts, since in queues:
        number.add_metric([base], verdicts)
        age.add_metric([base], (timezone.now() - since).total_seconds())
    yield number
    yield age


def _verdicts_of_the_hour(rows: list[tuple[str, str, str | None, int, float, int]]) -> Iterator[Metric]:
    """Yield number, mean and longest time of the verdicts of the last hour, by format, state and first engine."""
    labels = ["format", "state", "engine"]
    number = GaugeMetricFamily("dovetail_hour_verdicts", "Verdicts of the last hour, as then.", labels=labels)
    mean = GaugeMetricFamily("dovetail_hour_verdict_mean_seconds", "Their mean time of work.", labels=labels)
    longest = GaugeMetricFamily("dovetail_hour_verdict_longest_seconds", "Their longest time of work.", labels=labels)
    for format_name, state, engine, verdicts, average, most in rows:
        values = [format_name, state, engine or ""]
        number.add_metric(values, verdicts)
        mean.add_metric(values, average / 1000)
        longest.add_metric(values, most / 1000)
    yield from (number, mean, longest)


def _clock() -> Metric:
    """Return how long the schedule is late: for ever, if no clock holds a lease, because the last one has ended."""
    help = "How long no clock has run the schedule; 0 while one does, +Inf if none is started."
    until = ClockLease.objects.values_list("until", flat=True).first()
    return GaugeMetricFamily("dovetail_clock_silence_seconds", help, _age(until) if until else math.inf)


def _age(moment: datetime | None) -> float:
    """Return the seconds since a moment; 0 for none and for one to come."""
    return max((timezone.now() - moment).total_seconds(), 0.0) if moment else 0.0


def _of_features(counted: list[seams.Gauge]) -> Iterable[Metric]:
    families: dict[str, GaugeMetricFamily] = {}
    for name, help, value, labels in (*counted, *(one for feature in seams.joined() for one in feature.gauges())):
        family = families.setdefault(name, GaugeMetricFamily(name, help, labels=list(labels)))
        family.add_metric(list(labels.values()), value)
    return families.values()


def _workers() -> Iterator[Metric]:
    """Yield the silence of each worker, and how many jobs all workers can do at once that live and take any."""
    help = "Since a worker's last sign of life."
    silence = GaugeMetricFamily("dovetail_worker_silence_seconds", help, labels=["worker"])
    slots = 0.0
    for worker in WorkerHeartbeat.objects.order_by("-beat_at")[:WORKERS_MOST]:
        seconds = (timezone.now() - worker.beat_at).total_seconds()
        silence.add_metric([worker.worker], seconds)
        if seconds < settings.LEASE_SECONDS and not worker.problem:
            slots += worker.offers.get("slots", 1)
    yield silence
    help = "Validations that the living workers can do at once; 0 if none lives and takes jobs."
    yield GaugeMetricFamily("dovetail_worker_slots", help, slots)


def exposition() -> bytes:
    """Return the gauges in Prometheus' text format."""
    state = CollectorRegistry()
    state.register(_Registry())
    return generate_latest(state)


def disks() -> list[tuple[str, int, int]]:
    """Return the folders of this process, each with the bytes that are free on its disk, and the size of that."""
    folders = {"data": settings.DATA, "scratch": Path(tempfile.gettempdir())}
    # A web process that keeps nothing on disk has no folder of data.
    used = [(name, shutil.disk_usage(folder)) for name, folder in folders.items() if folder.exists()]
    return [(name, disk.free, disk.total) for name, disk in used]


Reports = Iterable[tuple[str, str, processes.Usage]]  # role and name of a process, and what it uses


class _Processes(Collector):
    """The usage of each service, by the names that Prometheus' own collectors give to a process."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    def collect(self) -> Iterator[Metric]:
        labels = ["role", "process"]
        cpu = CounterMetricFamily("process_cpu_seconds_total", "CPU time, all processes of a service.", labels=labels)
        families = {
            "resident_memory_bytes": "Memory of all processes of a service; shared pages count for each.",
            "start_time_seconds": "When a service started, in seconds since the epoch.",
            "open_fds": "Open files of the process of a service that is closest to its limit.",
            "max_fds": "The limit of open files of that process.",
        }
        gauges = {name: GaugeMetricFamily(f"process_{name}", help, labels=labels) for name, help in families.items()}
        limited = {
            "memory_bytes": "Memory of a container that the kernel cannot take back.",
            "memory_limit_bytes": "Its limit; none without one.",
        }
        gauges |= {name: GaugeMetricFamily(f"dovetail_{name}", help, labels=labels) for name, help in limited.items()}
        for role, process, usage in self._reports:
            cpu.add_metric([role, process], usage.cpu_seconds)
            for name, family in gauges.items():
                if name in families or usage.memory_limit_bytes:
                    family.add_metric([role, process], getattr(usage, name))
        yield cpu
        yield from gauges.values()


def process_exposition(reports: Reports) -> bytes:
    """Return the usage of the web of this machine and of those services in Prometheus' text format."""
    own = processes.measure(metrics.service)
    state = CollectorRegistry()
    state.register(_Processes([*reports, *([("web", socket.gethostname(), own)] if own else [])]))
    return generate_latest(state)


class _Machine(Collector):
    """The state of the parts, as /readyz examines them, and of the disks."""

    def __init__(self, parts: Mapping[str, Mapping[str, object]]) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("dovetail_part_up", "Whether a part of the hub works, as /readyz says.", labels=["part"])
        for part, state in self._parts.items():
            up.add_metric([part], 1 if state["ok"] else 0)
        yield up
        free = GaugeMetricFamily("dovetail_disk_free_bytes", "Room in a folder of this process.", labels=["folder"])
        size = GaugeMetricFamily("dovetail_disk_size_bytes", "Size of the disk of that folder.", labels=["folder"])
        for name, room, total in disks():
            free.add_metric([name], room)
            size.add_metric([name], total)
        yield free
        yield size


def machine_exposition(parts: Mapping[str, Mapping[str, object]]) -> bytes:
    """Return the gauges in Prometheus' text format; `parts` is what health.examine returns."""
    state = CollectorRegistry()
    state.register(_Machine(parts))
    return generate_latest(state)
