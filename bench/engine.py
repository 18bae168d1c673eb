"""How fast adapters are validated, against one process per adapter, and whether the frozen base survives them all.

    .venv/bin/python bench/engine.py --base DIR [--adapter DIR] [--count N] [--cold N]

DIR is the folder of MiniLM. Prints medians, ratios and processor time, which other work on the machine disturbs less.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "client" / "src")]

from tests.adapters import MINILM, SABOTEURS, facts_of, lora, write  # noqa: E402

PYTHON = ROOT / ".engines" / "e5" / "bin" / "python"
MAIN = ROOT / "workers" / "engine" / "__main__.py"


class Engine:
    def __init__(self, base):
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [str(PYTHON), "-I", str(MAIN), "serve", "--base", str(base), "--base-id", MINILM.id],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tempfile.gettempdir(),
        )  # fmt: skip
        json.loads(self.process.stdout.readline())
        self.start_s = time.perf_counter() - self.began

    def validate(self, folder, card):
        began = time.perf_counter()
        self.process.stdin.write(json.dumps({"job": {"id": "1", "folder": str(folder), "card": card}}) + "\n")
        self.process.stdin.flush()
        while (heard := json.loads(self.process.stdout.readline()))["event"] != "verdict":
            pass
        return heard["verdict"], (time.perf_counter() - began) * 1000

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait() == 0, "the engine found its base changed, or died"


def children_cpu_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def warm(base, folder, card, count):
    engine = Engine(base)
    engine.validate(folder, card)
    before = processor_s(engine.process.pid)
    runs = [engine.validate(folder, card) for _ in range(count)]
    cpu = (processor_s(engine.process.pid) - before) / count * 1000
    engine.stop()
    assert all(verdict["state"] == "passed" for verdict, _ in runs), runs[0]
    walls = [wall for _, wall in runs]
    print(f"engine ready after {engine.start_s:.1f} s")
    print(f"warm: median {statistics.median(walls):.0f} ms wall, best {min(walls):.0f}; {cpu:.0f} ms processor time")
    show_checks([verdict for verdict, _ in runs])
    return statistics.median(walls), cpu


def processor_s(pid):
    """What a process and its ended children have used, from /proc/PID/stat (proc_pid_stat(5), fields 14 to 17)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def show_checks(verdicts):
    by_id = {}
    for verdict in verdicts:
        for check in verdict["checks"]:
            by_id.setdefault(check["id"], []).append(check["duration_ms"])
    medians = {name: statistics.median(times) for name, times in by_id.items()}
    dynamic = {name: time for name, time in medians.items() if name.startswith(("load.", "run.", "eval.w", "eval.c"))}
    print(f"  static checks together {sum(medians.values()) - sum(dynamic.values()):.1f} ms")
    print("  " + ", ".join(f"{name} {time:.0f}" for name, time in dynamic.items() if time >= 1) + " ms")


def cold(base, folder, card, count):
    """One process per adapter: the same checks, nothing kept."""
    walls, before = [], children_cpu_s()
    for _ in range(count):
        began = time.perf_counter()
        engine = Engine(base)
        engine.validate(folder, card)
        engine.stop()
        walls.append((time.perf_counter() - began) * 1000)
    cpu = (children_cpu_s() - before) / count * 1000
    print(f"one process per adapter: median {statistics.median(walls):.0f} ms wall, {cpu:.0f} ms processor time")
    return statistics.median(walls), cpu


def bombard(base, count):
    """Adapters, hostile ones among them: the engine compares its base bit for bit at the end."""
    engine, began = Engine(base), time.perf_counter()
    spoilers = [spoil for _, spoil in SABOTEURS.values()]
    with tempfile.TemporaryDirectory() as folder:
        honest = lora(MINILM)
        for number in range(count):
            spoil = spoilers[number % len(spoilers)]
            files = spoil(honest) if number % 10 else honest
            path = Path(folder) / str(number)
            path.mkdir()
            verdict, _ = engine.validate(write(files, path), facts_of(honest))
            assert number % 10 or verdict["state"] == "passed", verdict
    engine.stop()
    seconds = time.perf_counter() - began
    print(f"{count} adapters, nine of ten of them hostile, in {seconds:.0f} s: the base is bit for bit what it was")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--adapter", type=Path, default=ROOT / "demo" / "reviews-lora")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--cold", type=int, default=3)
    parser.add_argument("--bombard", type=int, default=0)
    options = parser.parse_args()
    card = {"license": "apache-2.0", "base_model": MINILM.id, "pipeline_tag": "text-classification"}
    wall, cpu = warm(options.base, options.adapter, card, options.count)
    cold_wall, cold_cpu = cold(options.base, options.adapter, card, options.cold)
    print(f"wall clock: {60_000 / wall:.0f} a minute, {cold_wall / wall:.1f} times one process per adapter")
    print(f"processor: {60_000 / cpu:.0f} a minute on one core, {cold_cpu / cpu:.1f} times one process per adapter")
    if options.bombard:
        bombard(options.base, options.bombard)


if __name__ == "__main__":
    main()
