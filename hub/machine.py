"""The cores and memory of this machine or container, for the defaults of settings."""

import os
from pathlib import Path

GIB = 1 << 30
CGROUP = Path("/sys/fs/cgroup/memory.max")


def memory() -> int:
    """Return the bytes of memory of this machine, or of the container where that is less."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = CGROUP.read_text().strip() if CGROUP.exists() else "max"
    return min(whole, int(limit)) if limit.isdigit() else whole


def slots() -> int:
    """Return how many validations run in parallel: one a core, with at least 2 GiB of memory each."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, memory() // (2 * GIB)))
