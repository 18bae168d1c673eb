"""The speed of validation, against one process for each adapter and against the floor; the base must survive.

    make bench ARGS=engine      [BENCH_BASE=DIR BENCH_COUNT=20 BENCH_ADAPTERS=2000]

Numbers are of processor time where a busy machine would spoil the clock's; BENCH_ADAPTERS are sent through one warm
parent, nine of ten of them hostile, and its base is compared bit for bit afterwards.
"""

import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import minilm
from bench.line import Line
from ops.sentences import ROOT
from tests.adapters import MINILM, SABOTEURS, TINY_BERT, facts_of, lora, write

PYTHON = ROOT / ".engines" / "e5" / "bin" / "python"
MAIN = ROOT / "workers" / "engine" / "__main__.py"
DEMO = ROOT / "demo" / "reviews-lora"
CARD = {"license": "apache-2.0", "base_model": MINILM.id, "pipeline_tag": "text-classification"}
COUNT = int(os.environ.get("BENCH_COUNT", "20"))
ADAPTERS = int(os.environ.get("BENCH_ADAPTERS", "2000"))
COLD = 3
Verdict = dict[str, Any]


class Engine:
    """A warm engine, driven as a worker does."""

    def __init__(self, base: Path, base_id: str = MINILM.id) -> None:
        self.process = subprocess.Popen(
            [str(PYTHON), "-I", str(MAIN), "workers.engine.processes.serve", "--base", str(base), "--base-id", base_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tempfile.gettempdir(),
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.ears, self.mouth = self.process.stdout, self.process.stdin
        json.loads(self.ears.readline())

    def validate(self, folder: Path, card: Verdict, **more: object) -> tuple[Verdict, float]:
        """Return the verdict, and the milliseconds it took; `more` are other fields of the job."""
        began = time.perf_counter()
        self.mouth.write(json.dumps({"job": {"id": "1", "folder": str(folder), "card": card, **more}}) + "\n")
        self.mouth.flush()
        while (heard := json.loads(self.ears.readline()))["event"] != "verdict":
            pass
        verdict: Verdict = heard["verdict"]
        return verdict, (time.perf_counter() - began) * 1000

    def spent(self) -> float:
        """CPU seconds of the process and its ended children: /proc/PID/stat, proc_pid_stat(5), fields 14 to 17."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Stop the engine. Raises AssertionError if the base in memory has changed, which the exit status tells."""
        self.mouth.close()
        assert self.process.wait() == 0, "the engine found its base changed, or died"


def lines() -> Iterator[Line]:
    base = minilm.folder()
    full, wall, verdicts = warm(base)
    yield from full_checks(base, full, wall, verdicts)
    yield from one_forward(base, full)
    with tempfile.TemporaryDirectory() as folder:
        yield bombard(Path(folder), ADAPTERS)


def warm(base: Path) -> tuple[float, float, list[Verdict]]:
    """Measure one full validation by a warm engine: CPU milliseconds, median milliseconds by the clock, verdicts."""
    engine = Engine(base)
    engine.validate(DEMO, CARD)
    before = engine.spent()
    verdicts, times = zip(*(engine.validate(DEMO, CARD) for _ in range(COUNT)), strict=True)
    milliseconds = 1000 * (engine.spent() - before) / COUNT
    engine.stop()
    assert all(verdict["state"] == "passed" for verdict in verdicts), verdicts[0]
    return milliseconds, statistics.median(times), list(verdicts)


def full_checks(base: Path, full: float, wall: float, verdicts: list[Verdict]) -> Iterator[Line]:
    yield Line("full check of a MiniLM LoRA, warm parent", full, "ms of CPU", note=f"median {wall:.0f} ms by the clock")
    yield Line("full checks a minute and core", 60_000 / full, "/min")
    began = _children()
    for _ in range(COLD):
        engine = Engine(base)
        engine.validate(DEMO, CARD)
        engine.stop()
    cold = 1000 * (_children() - began) / COLD
    yield Line(
        "one process for each adapter costs more by", cold / full, "times", least=5, note=f"{cold:.0f} ms of CPU"
    )
    for name, milliseconds in _dearest(verdicts):
        yield Line(f"  of it {name}", milliseconds, "ms")


def one_forward(base: Path, full: float) -> Iterator[Line]:
    """Measure loading and a forward pass of 8 x 32 tokens: in a jailed child, in its own process, and the minimum.

    `full` is a full check in milliseconds of CPU: smoke rows through base and adapter, merge, five strengths, usage.
    """
    command = [str(PYTHON), "-W", "ignore", "-I", str(ROOT / "bench" / "forward.py"), str(base), str(DEMO)]
    done = subprocess.run([*command, str(COUNT)], check=True, capture_output=True, text=True, cwd=tempfile.gettempdir())
    medians = {name: statistics.median(times) for name, times in json.loads(done.stdout.splitlines()[-1]).items()}
    began = _children()
    for _ in range(COLD):
        subprocess.run([*command, "cold"], check=True, capture_output=True, cwd=tempfile.gettempdir())
    cold = 1000 * (_children() - began) / COLD
    note = f"floor {medians['floor']:.0f} ms: read, copy, one forward ({medians['forward']:.0f})"
    yield Line("load and one forward in a jailed child", medians["warm"], "ms of CPU", note=note)
    yield Line("  of the floor", medians["warm"] / medians["floor"], "times", most=2.6)
    yield Line("full check, of the same floor", full / medians["floor"], "times", most=16)
    yield Line(
        "  one process for each adapter costs more by", cold / medians["warm"], "times", least=25, note=f"{cold:.0f} ms"
    )


def bombard(folder: Path, count: int) -> Line:
    """Adapters on a tiny base, hostile ones among them: the engine compares its base bit for bit as it ends."""
    script = ROOT / "tests" / "engine" / "make_bases.py"
    subprocess.run([str(PYTHON), str(script), str(folder / "bases")], check=True, capture_output=True)
    engine, began = Engine(folder / "bases" / "bert", TINY_BERT.id), time.perf_counter()
    spoilers = [spoil for _, spoil in SABOTEURS.values()]
    for number in range(count):
        honest = lora(seed=number)
        files = spoilers[number % len(spoilers)](honest) if number % 10 else honest
        place = folder / "adapter"
        for path in (path for path in sorted(place.rglob("*"), reverse=True)):
            path.unlink() if path.is_file() else path.rmdir()
        place.mkdir(exist_ok=True)
        verdict, _ = engine.validate(write(files, place), facts_of(honest))
        assert number % 10 or verdict["state"] == "passed", verdict
    engine.stop()
    rate = 60 * count / (time.perf_counter() - began)
    note = f"{count:,} adapters, nine of ten hostile, {rate:,.0f} a minute"
    return Line("base weights changed, in bits", 0, "bits", most=0, note=note)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _dearest(verdicts: list[Verdict]) -> list[tuple[str, float]]:
    """Return the slowest checks, by their medians."""
    times: dict[str, list[float]] = {}
    for check in (check for verdict in verdicts for check in verdict["checks"]):
        times.setdefault(check["id"], []).append(check["duration_ms"])
    medians = {name: statistics.median(durations) for name, durations in times.items()}
    return sorted(medians.items(), key=lambda item: -item[1])[:6]
