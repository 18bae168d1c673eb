"""Resource usage of the hub's processes; workers and the clock, which no Prometheus scrapes, leave a row."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
from django.conf import settings
from django.db import Error as DatabaseError
from django.db.models.functions import Now

from dovetail.adapters.results.records import Record
from registry.models import ProcessReport

MOST = 200  # reports that are read, the latest ones; each is some series
CGROUP = Path("/sys/fs/cgroup")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Usage(Record):
    """The usage of one service: its first process and all that descend from it."""

    cpu_seconds: float = 0  # with those of descendants that have ended
    resident_memory_bytes: float = 0  # the sum; pages that processes share count for each of them
    start_time_seconds: float = 0  # of the first process
    open_fds: float = 0  # of the process that is closest to its limit
    max_fds: float = 0
    memory_bytes: float = 0  # of the container, without what the kernel can take back; 0 without a limit
    memory_limit_bytes: float = 0


def measure(first: int) -> Usage | None:
    """Return the usage of a service by the id of its first process; None if that is gone."""
    try:
        service = psutil.Process(first)
        started, members = service.create_time(), [service, *service.children(recursive=True)]
    except psutil.Error:
        return None
    cpu, resident, files = 0.0, 0, (0, 0)
    for member in members:
        with suppress(psutil.Error), member.oneshot():  # it has ended, or is of another user
            cpu += sum(member.cpu_times()[:4])
            resident += member.memory_info().rss
            limit = member.rlimit(psutil.RLIMIT_NOFILE)[0] if psutil.LINUX else 0  # -1: as many as it likes
            files = max(files, (member.num_fds(), max(limit, 0)), key=lambda pair: pair[0] / max(pair[1], 1))
    return Usage(cpu, resident, started, *files, *_memory())


def report(role: str) -> None:
    """Write down what this process and its descendants use; a failure is logged, and never that of the caller."""
    try:
        if usage := measure(os.getpid()):
            row = ProcessReport(process=_name(), role=role, at=Now(), usage=usage.as_json())
            columns = ["role", "at", "usage"]
            ProcessReport.objects.bulk_create(
                [row], update_conflicts=True, unique_fields=["process"], update_fields=columns
            )
    except (DatabaseError, OSError, ValueError) as problem:
        logger.warning("The usage of this process was not reported: %s", problem)


def forget() -> None:
    """Delete the report of this process, which ends."""
    ProcessReport.objects.filter(process=_name()).delete()


def reported() -> Iterator[tuple[str, str, Usage]]:
    """Yield role, name and usage of each process whose last report is fresh."""
    fresh = ProcessReport.objects.filter(at__gte=Now() - timedelta(seconds=settings.LEASE_SECONDS))
    for row in fresh.order_by("-at")[:MOST]:
        yield row.role, row.process, Usage.read(row.usage)


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _memory() -> tuple[int, int]:
    """Return the bytes that this container cannot give back, and its limit; zeros without one (cgroup v2)."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    except OSError:
        return 0, 0
    if not limit.isdigit():
        return 0, 0
    files = sum(int(stat.get(name, 0)) for name in ("active_file", "inactive_file", "slab_reclaimable"))
    return max(used - files, 0), int(limit)
