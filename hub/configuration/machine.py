"""The cores and memory of this machine or container, for the defaults of settings."""

import os
from pathlib import Path

GIB = 1 << 30
CGROUP = Path("/sys/fs/cgroup")
MEMORY_MAX, CPU_MAX = CGROUP / "memory.max", CGROUP / "cpu.max"  # of the container
WEB_MEMORY = GIB // 2  # of one web process under load, with room
WEB_PROCESSES_MOST = 8  # by default; with ten connections each they leave some of PostgreSQL's hundred


def memory() -> int:
    """Return the bytes of memory of this machine, or of the container where that is less."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = MEMORY_MAX.read_text().strip() if MEMORY_MAX.exists() else "max"
    return min(whole, int(limit)) if limit.isdigit() else whole


def cores() -> int:
    """Return how many cores this process may use, at least 1; a container's share counts, as in Kubernetes' limits."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = CPU_MAX.read_text().partition(" ") if CPU_MAX.exists() else ("max", "", "")
    return max(1, min(usable, int(quota) // int(period))) if quota.isdigit() else usable


def slots() -> int:
    """Return how many validations run in parallel: one a core, with at least 2 GiB of memory each."""
    return max(1, min(cores(), memory() // (2 * GIB)))


def web_processes() -> int:
    """Return how many processes answer requests: one a core, and two on a single one, so that one may be replaced."""
    return max(2, min(cores(), memory() // WEB_MEMORY, WEB_PROCESSES_MOST))
