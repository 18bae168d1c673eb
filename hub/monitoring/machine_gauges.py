"""Prometheus gauges that need no database: which parts answer, and the room on the disks here."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from django.conf import settings
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


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
        for name, folder in {"data": settings.DATA, "scratch": Path(tempfile.gettempdir())}.items():
            if folder.exists():  # a web process that keeps nothing on disk has no folder of data
                disk = shutil.disk_usage(folder)
                free.add_metric([name], disk.free)
                size.add_metric([name], disk.total)
        yield free
        yield size


def exposition(parts: Mapping[str, Mapping[str, object]]) -> bytes:
    """Return the gauges in Prometheus' text format; `parts` is what health.examine returns."""
    state = CollectorRegistry()
    state.register(_Machine(parts))
    return generate_latest(state)
