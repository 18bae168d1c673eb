"""Resource usage of the hub's processes; workers and the clock, which no Prometheus scrapes, leave a row."""

import logging
import os
import resource
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import Error as DatabaseError
from django.db.models.functions import Now

from dovetail.adapters.results.records import Record
from registry.models import ProcessReport

MOST = 200  # reports that are read, the latest ones; each is some series
PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
TICKS, PAGE_BYTES = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
BOOTED = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else 0
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
    """Return the usage of a service by the id of its first process; None on a system without /proc."""
    stats = dict(_stats())
    if first not in stats:
        return None
    members = {first}
    for pid, stat in sorted(stats.items(), key=lambda item: (item[1].started, item[0])):  # parents start first
        if stat.parent in members:
            members.add(pid)
    cpu = sum(stats[pid].cpu for pid in members) / TICKS
    resident = sum(stats[pid].pages for pid in members) * PAGE_BYTES
    files = max(map(_files, members), key=lambda files: files[0] / max(files[1], 1))
    return Usage(cpu, resident, BOOTED + stats[first].started / TICKS, *files, *_memory())


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


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    cpu: int  # ticks
    started: int  # ticks since the boot
    pages: int


def _stats() -> Iterator[tuple[int, _Stat]]:
    """Yield the state of each process of this machine or container, by proc_pid_stat(5)."""
    for folder in PROC.glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            stat = _Stat(int(fields[1]), sum(map(int, fields[11:15])), int(fields[19]), int(fields[21]))
        except (OSError, IndexError):  # it has ended
            continue
        yield int(folder.name), stat


def _files(pid: int) -> tuple[int, int]:
    """Return how many files a process has open, and how many it may; zeros where this one may not look."""
    try:
        limit, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        return len(list((PROC / str(pid) / "fd").iterdir())), max(limit, 0)  # -1: as many as it likes
    except OSError:
        return 0, 0


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
