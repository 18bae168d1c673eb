"""Tells a process that is stuck, or works too long, from one that a busy machine keeps waiting."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

HANG_SECONDS = 30.0
WALL_SECONDS = 600.0  # of one job, however little of the processor a busy machine gives it
LEAST_SHARE = 0.01  # of the time that it was free to run; a process that uses less does nothing
LONGEST_STEP = 1.0  # between two looks; beyond that the watcher itself did not run

Excess = Literal["", "cpu", "idle", "wall"]


@dataclass(slots=True)
class Pace:
    """Limits on the time of one process, counted from the making of this object; ask `excess` many times a second.

    `cpu_seconds` limits its processor time. `idle_seconds` limits a time in which it does nothing though a processor is
    free for it. `wall_seconds` limits the time by the clock: beyond that the machine is to blame.
    """

    pid: int
    cpu_seconds: float
    idle_seconds: float
    wall_seconds: float
    used: float = 0.0  # seconds of processor time
    _began: float = field(default_factory=time.monotonic)
    _looked: float = field(default_factory=time.monotonic)
    _at_start: float = field(init=False)
    _waited: float = field(init=False)
    _idle: float = 0.0
    _marked: float = 0.0  # what it had used when it was last busy

    def __post_init__(self) -> None:
        self._at_start, self._waited = usage(self.pid) or (0.0, 0.0)

    def excess(self) -> Excess:
        """Return the limit that the process exceeds now, "" for none."""
        self._look()
        if self.used > self.cpu_seconds:
            return "cpu"
        if self._idle > self.idle_seconds:
            return "idle"
        return "wall" if self._looked - self._began > self.wall_seconds else ""

    def mark(self) -> None:
        """Count the process as busy: it has just said something."""
        self._idle, self._marked = 0.0, self.used

    def _look(self) -> None:
        now, seen = time.monotonic(), usage(self.pid)
        if seen is not None:
            used, waited = max(self.used, seen[0] - self._at_start), seen[1]
            step = min(now - self._looked, LONGEST_STEP)
            self._idle += max(0.0, step - (used - self.used) - (waited - self._waited))
            self.used, self._waited = used, waited
            if self.used - self._marked > LEAST_SHARE * self.idle_seconds:
                self.mark()
        self._looked = now


def usage(pid: int) -> tuple[float, float] | None:
    """Return a process's seconds of processor time, and those in which it waited for a processor; None if it is gone.

    A kernel without statistics of its scheduler tells no waiting (proc_pid_stat(5), sched-stats in the kernel's docs).
    """
    try:
        ticks = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    except (OSError, ValueError):
        return None
    try:
        threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
        waited = sum(int(file.read_text().split()[1]) for file in threads) / 1e9
    except (OSError, ValueError, IndexError):
        waited = 0.0
    return ticks / os.sysconf("SC_CLK_TCK"), waited
