"""The servers of the bench of speed side by side: addresses, turns, ratios, and wrk."""

import json
import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench import rivals
from bench.hub import TOKEN
from bench.line import Line
from bench.rivals import Wire

REPEATS, LARGE, ADAPTER = 5, 100_000_000, 8_000_000
BEARER = {"Authorization": f"Bearer {TOKEN}"}
REPO = "bench/speed"


def weights(size: int) -> bytes:
    """Return a safetensors file of this many bytes with one random tensor."""
    room = 128
    header = json.dumps({"x": {"dtype": "U8", "shape": [size - room], "data_offsets": [0, size - room]}})
    return (room - 8).to_bytes(8, "little") + header.encode().ljust(room - 8) + os.urandom(size - room)


@dataclass
class Side:
    """One server: where it is, what callers send, and by what address it has each of our files."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)
    at: dict[str, str] = field(default_factory=dict)

    def wire(self) -> Wire:
        return Wire(self.port, self.headers)


Sides = dict[str, Side]


def in_turn(steps: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Run each step five times, all in turn, after one round that warms up; return their seconds."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(REPEATS + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if turn:
                taken[name].append(time.perf_counter() - began)
    return taken


def against(what: str, taken: dict[str, list[float]], us: str, them: str, least: float | None, size: int) -> Line:
    """Return our speed divided by theirs."""
    rate = {name: size / statistics.median(times) / 1e6 for name, times in taken.items()}
    promise = {} if least is None else {"least": least}
    note = f"{rate[us]:.0f} and {rate[them]:.0f} MB/s"
    return Line(f"{what}: {us} over {them}", rate[us] / rate[them], "times", **promise, note=note)


@dataclass(frozen=True, slots=True)
class Asked:
    """The answers that wrk got: how many a second, and the milliseconds within which 99 of 100 came."""

    rate: float
    p99: float


def wrk(connections: int, seconds: int, url: str, headers: Mapping[str, str], more: Sequence[str] = ()) -> Asked:
    """Ask as fast as so many connections get answers; `more` are further arguments. Stops at a refusal.

    An answer after seconds counts as late, in the 99th percentile; wrk itself would call it an error after two.
    """
    command = [rivals.program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=30s", "--latency", *more]
    command += [word for key, value in headers.items() for word in ("-H", f"{key}: {value}")]
    done = subprocess.run([*command, url], check=True, capture_output=True, text=True)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(done.stdout)
    late, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)[0]
    scale = {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]
    return Asked(float(re.findall(r"Requests/sec:\s+([\d.]+)", done.stdout)[0]), float(late) * scale)
