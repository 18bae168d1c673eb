"""One measured number and its limit; how lines are written as a table and as JSON."""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ops.sentences import ROOT

RESULTS = ROOT / ".bench"


@dataclass(frozen=True)
class Line:
    """One measured number; `most` or `least` is its limit."""

    what: str
    value: float
    unit: str
    most: float = float("inf")
    least: float = float("-inf")
    note: str = ""

    @property
    def kept(self) -> bool:
        return self.least <= self.value <= self.most

    @property
    def is_promised(self) -> bool:
        return self.most < float("inf") or self.least > float("-inf")

    def __str__(self) -> str:
        promise = f"≤ {self.most:g}" if self.most < float("inf") else f"≥ {self.least:g}"
        verdict = "" if not self.is_promised else "kept" if self.kept else "MISSED"
        promised = promise if self.is_promised else ""
        return f"{self.what:62}{self.value:10.2f} {self.unit:12}{promised:10}{verdict:8}{self.note}"


def spread(values: Iterable[float]) -> str:
    numbers = list(values)
    return f"{min(numbers):.2f} to {max(numbers):.2f}"


def median_ms(step: Callable[[], object], times: int = 21) -> float:
    """Return the median CPU time of a step in this thread, which depends less on other load than wall time."""
    taken = []
    for _ in range(times):
        began = time.thread_time()
        step()
        taken.append(1000 * (time.thread_time() - began))
    return statistics.median(taken)


def keep(name: str, lines: list[Line]) -> Path:
    """Writes .bench/NAME.json: when, on how many cores, under what load, and each number."""
    RESULTS.mkdir(exist_ok=True)
    finite = [
        {key: value for key, value in asdict(line).items() if value not in (float("inf"), float("-inf"), "")}
        for line in lines
    ]
    document = {
        "bench": name,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "lines": finite,
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path
