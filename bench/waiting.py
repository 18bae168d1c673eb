"""Plain reads while clients wait for news, by `?wait=` and as streams; and how long news take to reach them.

    make bench ARGS=waiting

Rounds with nobody, with 50 long polls, and with more clients than there are places of both kinds take turns; only their
ratios mean something on a machine that does other work as well. Each client has an address of its own.
"""

import http.client
import json
import re
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import rivals
from bench.hub import TOKEN, Hub
from bench.line import Line, spread

ROUNDS, WRK_SECONDS, CONNECTIONS, EVENTS = 5, 4, 8, 10
PLACES = 2 * 16  # of each kind in both processes (hub/api/waiting.py, hub/api/streaming.py)
EVENTS_OF = "text/event-stream"
NOBODY, FIFTY, ALL = "nobody waits", "50 long polls", "all places taken"
CROWDS = {NOBODY: (0, 0), FIFTY: (50, 0), ALL: (2 * PLACES, 2 * PLACES)}
READ = "/api/v1/adapters?limit=10"


@dataclass
class Crowd:
    """Clients that wait until they are told to stop; `heard` has the moments at which they heard of each repository."""

    port: int
    stop: threading.Event = field(default_factory=threading.Event)
    heard: dict[str, list[float]] = field(default_factory=dict)

    def hear(self, adapter: str) -> None:
        self.heard.setdefault(adapter, []).append(time.perf_counter())

    def ask(self, number: int, path: str, accept: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        address = f"127.{2 + number // 250}.{number % 250}.7"
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60, source_address=(address, 0))
        wire.request("GET", path, headers={"Accept": accept})
        return wire, wire.getresponse()

    def poll(self, number: int, since: int) -> None:
        """Wait again and again; a client without a place is answered at once, and pauses as it should."""
        while not self.stop.is_set():
            began = time.perf_counter()
            wire, answer = self.ask(number, f"/api/v1/changes?since={since}&wait=5", "application/json")
            page = json.load(answer)
            wire.close()
            since = page["last"]
            for item in page["items"]:
                self.hear(item["adapter"])
            if not page["items"] and time.perf_counter() - began < 1:
                self.stop.wait(1)

    def stream(self, number: int, since: int) -> None:
        """Read events; a client without a place tries again after a pause."""
        while not self.stop.is_set():
            wire, answer = self.ask(number, f"/api/v1/changes?since={since}", EVENTS_OF)
            if answer.status != 200:
                wire.close()
                self.stop.wait(5)
                continue
            while not self.stop.is_set() and (line := answer.readline()):
                if line.startswith(b"data: "):
                    self.hear(json.loads(line[6:])["adapter"])
                elif line.startswith(b"id: "):
                    since = int(line[4:])
            wire.close()


def lines() -> Iterator[Line]:
    """Start a hub, and measure reads and news with each crowd in turn."""
    with tempfile.TemporaryDirectory(prefix="dovetail-waiting-") as name, Hub(Path(name)) as hub:
        for number in range(20):
            _create(hub, f"first-{number}")
        reads: dict[str, list[tuple[float, float]]] = {crowd: [] for crowd in CROWDS}
        news: dict[str, list[float]] = {"long polls": [], "streams": []}
        for turn in range(ROUNDS + 1):
            for crowd, sizes in CROWDS.items():
                with _waiting(hub, *sizes):
                    measured = _reads(hub)
                if turn:  # the first one warms up
                    reads[crowd].append(measured)
        for kind, sizes in {"long polls": (20, 0), "streams": (0, 20)}.items():
            with _waiting(hub, *sizes) as waiters:
                for number in range(EVENTS):
                    news[kind] += _news(hub, waiters, f"{kind.replace(' ', '-')}-{number}")
    yield from _lines(reads, news)


def _lines(reads: dict[str, list[tuple[float, float]]], news: dict[str, list[float]]) -> Iterator[Line]:
    for crowd, measured in reads.items():
        rates, slowest = zip(*measured, strict=True)
        yield Line(f"plain reads, {crowd}", statistics.median(rates), "/s", note=spread(rates))
        yield Line(f"p99 of plain reads, {crowd}", statistics.median(slowest), "ms", note=spread(slowest))
    quiet = statistics.median(rate for rate, _ in reads[NOBODY])
    for crowd, least in {FIFTY: 0.7, ALL: 0.5}.items():
        ratio = statistics.median(rate for rate, _ in reads[crowd]) / quiet
        yield Line(f"plain reads, {crowd} over {NOBODY}", ratio, "times", least=least)
    for kind, seconds in news.items():
        yield Line(f"from an event to its news, {kind}", statistics.median(seconds), "s", most=1, note=spread(seconds))


@contextmanager
def _waiting(hub: Hub, polls: int, streams: int) -> Iterator[Crowd]:
    crowd, since = Crowd(hub.port), hub.ask("/api/v1/changes?limit=0")["last"]
    kinds = [(crowd.poll, number) for number in range(polls)] + [(crowd.stream, 500 + n) for n in range(streams)]
    threads = [threading.Thread(target=wait, args=(number, since)) for wait, number in kinds]
    for thread in threads:
        thread.start()
    time.sleep(2 if threads else 0)
    yield crowd
    crowd.stop.set()
    _create(hub, f"end-{time.time_ns()}")  # which ends everybody's wait
    for thread in threads:
        thread.join(60)


def _reads(hub: Hub) -> tuple[float, float]:
    """Return the requests in a second, and the milliseconds within which 99 of 100 were answered."""
    command = [rivals.program("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{WRK_SECONDS}s", "--latency", f"{hub.url}{READ}"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in printed:
        raise SystemExit(printed)
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", printed)[0])
    value, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", printed)[0]
    return rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def _news(hub: Hub, crowd: Crowd, name: str) -> list[float]:
    """Return the seconds after which each of those that wait heard of a new repository."""
    began = time.perf_counter()
    _create(hub, name)
    time.sleep(3)
    return [at - began for at in crowd.heard.get(f"bench/{name}", [])]


def _create(hub: Hub, name: str) -> None:
    wire = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    wire.request("POST", "/api/repos/create", json.dumps({"name": name, "type": "model"}), headers)
    answer = wire.getresponse()
    if answer.status != 200:
        raise SystemExit(answer.read().decode())
    wire.close()
