"""The time of a queue of adapters over several bases with real workers, and the cost of a claim in a long queue."""

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench import minilm
from bench.line import Line
from ops.sentences import ROOT
from tests.services import valkey

NUMBER = int(os.environ.get("BENCH_QUEUE", "500"))
BASES = 5
MIB = 1 << 20


def lines() -> Iterator[Line]:
    """Measure in a process of its own, which may read settings once."""
    with tempfile.TemporaryDirectory(prefix="dovetail-bench-") as folder, valkey() as broker:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DOVETAIL_")},
            "DOVETAIL_DATA": folder,
            "DOVETAIL_SECRET_KEY": "benchmark-" * 6,
            "DOVETAIL_BROKER_URL": broker,
            "DOVETAIL_OWNER_PENDING": str(2 * NUMBER),
            "BENCH_BASE": str(minilm.folder()),
            "DJANGO_SETTINGS_MODULE": "hub.settings",
            "PYTHONPATH": f"{ROOT}:{ROOT}/client/src",
        }
        for command in (["manage.py", "migrate", "--verbosity", "0"], ["-m", "bench.queued", "fill"]):
            subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        yield from _work(Path(folder), environment)
        output = subprocess.run(
            [sys.executable, "-m", "bench.queued", "claims"], cwd=ROOT, env=environment, check=True, capture_output=True
        )
        few, many = map(float, output.stdout.split())
        yield Line("a claim, 10 wait", few, "ms")
        yield Line(
            "a claim where 10,000 wait, over one where 10 do", many / few, "times", most=1.5, note=f"{many:.2f} ms"
        )


def _work(folder: Path, environment: dict[str, str]) -> Iterator[Line]:
    began, spent = time.monotonic(), _spent()
    with _worker(folder, environment) as worker:
        peak = Peak(worker)
        output = subprocess.run(
            [sys.executable, "-m", "bench.queued", "wait"], cwd=ROOT, env=environment, check=True, capture_output=True
        )
        engines = peak.stop()
    wall, runs, warm, passed = map(float, output.stdout.split())
    cores = os.cpu_count() or 1
    note = f"{wall:.0f} s; {passed:.0f} passed; {time.monotonic() - began:.0f} s with the worker's own start"
    yield Line(
        f"{NUMBER} adapters over {BASES} bases, over run times / cores",
        wall / (runs / cores),
        "times",
        most=1.3,
        note=note,
    )
    yield Line("the same, over warm run times / cores", wall / (warm * NUMBER / cores), "times")
    yield Line("verdicts a minute a core", 60 * NUMBER / wall / cores, "/min")
    yield Line("processor time of everything, an adapter", (_spent() - spent) / NUMBER, "s")
    yield Line("most memory of all engines, children and worker (PSS)", engines / MIB, "MiB")


def _spent() -> float:
    """Return the CPU seconds of all ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def _worker(folder: Path, environment: dict[str, str]) -> Iterator[psutil.Process]:
    program = [sys.executable, "-m", "celery", "-q", "-A", "hub.celery"]
    command = [*program, "worker", "-P", "prefork", "--loglevel", "INFO"]
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


class Peak:
    """Samples the memory of a process tree each second."""

    def __init__(self, head: psutil.Process) -> None:
        self._head, self._most, self._ended = head, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(1):
            taken = 0
            for process in [self._head, *self._head.children(recursive=True)]:
                try:
                    taken += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self._most = max(self._most, taken)

    def stop(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._most
