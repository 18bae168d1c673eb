"""Trials of serving engines beside their rules: LoRAs on bases of real size, and the outcomes known to be right.

It builds the engines that are tried, or those that BENCH_ENGINES names. Each adapter is tried in the jail, as a worker
does after a verdict.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import django

from bench import measured_pipelines
from bench.line import Line
from bench.measured_truth import expected
from dovetail.adapters import files_in
from dovetail.adapters.results.report import Serving
from dovetail.adapters.serving import Base, serving_of
from ops import environments
from ops.sentences import ROOT
from workers.engine.job import Job

PAIRS = 200
MEASURERS = import_module("features.measured.engine").MEASURERS


def lines() -> Iterator[Line]:
    names = os.environ.get("BENCH_ENGINES", ",".join(MEASURERS)).split(",")
    pythons = {name: environments.ensure_engine(name) for name in names if not MEASURERS[name].pipelines}
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="dovetail-measured-") as name:
        home = Path(name)
        script: list[str | Path] = [ROOT / ".engines/e5/bin/python", "-P", ROOT / "bench/make_measured_adapters.py"]
        subprocess.run([*script, home], check=True, capture_output=True)
        for engine, python in pythons.items():
            tried: list[Row] = []
            yield from _tried(engine, python, home, tried)
            rows += tried
    if pythons:
        yield from _judged(rows)
    if "diffusers" in names:
        yield from measured_pipelines.lines()


def _judged(rows: list["Row"]) -> Iterator[Line]:
    yield Line("pairs of an adapter and an engine", len(rows), "", least=PAIRS)
    false = [row for row in rows if row.answer.outcome not in (row.expected, "unknown")]
    for outcome in ("serves", "refuses", "wrong"):
        wrong = [str(row) for row in false if row.answer.outcome == outcome]
        yield Line(f"published as `{outcome}` against the truth", len(wrong), "", most=0, note="; ".join(wrong))


@dataclass(frozen=True)
class Row:
    """One adapter on one base: the rule's answer, the published one, and why the engine was not tried."""

    base: str
    adapter: str
    rule: Serving
    answer: Serving
    reason: str
    seconds: float

    @property
    def expected(self) -> str:
        return expected(self.rule.engine, self.base, self.adapter)

    def __str__(self) -> str:
        seen = self.answer.measured
        tried = f"not tried: {self.reason[:60]}"
        if seen is not None:
            reached = "refuses" if seen.refusal else f"{seen.modules:g} of {seen.of:g}"
            tried = f"{seen.depth} {reached} {seen.answer or ''} {(seen.not_run or '')[:60]}"
        mark = "" if self.answer.outcome == self.expected else f"EXPECTED {self.expected}"
        outcomes = f"rule {self.rule.outcome:8} published {self.answer.outcome:8} {tried} {mark}"
        return f"    {self.rule.engine:10}{self.base:36}{self.adapter:22}{outcomes}"


def _tried(name: str, python: Path, home: Path, rows: list[Row]) -> Iterator[Line]:
    from workers.engines.sandbox import Engine  # it reads Django's settings
    from workers.engines.warm_engines import memory

    jobs = import_module("features.measured.jobs")
    with Engine.serve(str(python), "", "", jobs.MODULE) as engine:
        engine.wait_until_ready()
        yield Line(f"{name}: start", engine.start_seconds, "s")
        for config in sorted(home.glob(os.environ.get("BENCH_ADAPTERS", "*/*") + "/adapter_config.json")):
            rows.append(_row(jobs, name, engine, config.parent))
            print(rows[-1], flush=True)
        yield Line(f"{name}: memory while it waits", memory(engine.pid) / 1e6, "MB")
    seconds = [row.seconds for row in rows]
    longest = f"longest {max(seconds):.1f} s"
    yield Line(f"{name}: a trial, median", 1000 * statistics.median(seconds), "ms", note=longest)
    depths = Counter(row.answer.measured.depth if row.answer.measured else "not tried" for row in rows)
    yield Line(f"{name}: pairs", len(rows), "", note=", ".join(f"{key} {count}" for key, count in depths.items()))
    yield Line(f"{name}: rules alone are right", sum(row.rule.outcome == row.expected for row in rows), "")
    yield Line(f"{name}: published answers are right", sum(row.answer.outcome == row.expected for row in rows), "")


def _row(jobs: Any, name: str, engine: Any, adapter: Path) -> Row:
    config = json.loads((adapter.parent / "config.json").read_text())
    began = time.monotonic()
    try:
        told = {"config": config, "runs": MEASURERS[name].runs}
        job = Job("1", adapter, jobs.SECONDS, wall_seconds=jobs.WALL_SECONDS, more=told)
        measured, reason = jobs.measure(engine, job)
    except jobs.TrialEnded as problem:
        measured, reason = None, str(problem)
    seconds, rule = time.monotonic() - began, _rule(name, adapter, config)
    return Row(
        adapter.parent.name,
        adapter.name,
        rule,
        jobs.feature.judged(rule, measured) if measured else rule,
        reason,
        seconds,
    )


def _rule(name: str, adapter: Path, config: dict[str, Any]) -> Serving:
    text = config.get("text_config") or config
    base = Base("bench/base", tuple(config["architectures"]), int(text.get("vocab_size") or 0))
    return next(row for row in serving_of(files_in(adapter), base=base) if row.engine == name)
