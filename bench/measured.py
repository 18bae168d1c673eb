"""Trials of vLLM beside its rules: LoRAs on bases of real size, and the answers that are known to be right.

It builds .engines/vllm. Each adapter is tried in the jail, as a worker does after a verdict.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

from bench.line import Line
from dovetail.adapters import files_in
from dovetail.adapters.report import Serving
from dovetail.adapters.serving import Base, serving_of
from dovetail.adapters.serving.measured import judged
from ops import environments
from ops.sentences import ROOT
from workers.engine.job import MeasuringJob

# The answers of vLLM 0.32.0 for the processor when it ran on small bases: every class with vision, Llama, Qwen3 and
# Gemma 3 with all names of layers, and every kind of adapter on Llama. The other text models map names as these three
# do. A LoRA on a table is taken by its class of Llama and not by that of Qwen2, which declares no `embedding_modules`.
REFUSED = ("activated", "dora", "pissa", "replicated", "trained-biases", "unknown-module", "whole-head")
DROPPED = ("layer-too-many", "unknown-path", "vision-too")
MAPS_BARE_NAMES = ("Mistral3ForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration")
PLAIN = ("all-linear", "rank-stabilised", "some-layers")
TABLES = ("input-table", "output-table")
PAIRS = 60


def lines() -> Iterator[Line]:
    python = environments.ensure_engine("vllm")
    with tempfile.TemporaryDirectory(prefix="dovetail-measured-") as name:
        home = Path(name)
        script: list[str | Path] = [ROOT / ".engines/e5/bin/python", "-P", ROOT / "bench/make_vllm_adapters.py"]
        subprocess.run([*script, home], check=True, capture_output=True)
        yield from _tried(python, home)


@dataclass(frozen=True)
class Row:
    """One adapter on one base: the rule's answer, the published one, and why vLLM was not tried."""

    base: str
    adapter: str
    rule: Serving
    answer: Serving
    reason: str
    seconds: float

    @property
    def expected(self) -> str:
        return _expected(self.base, self.adapter)

    def __str__(self) -> str:
        seen = self.answer.measured
        reached = (
            f"{seen.modules:g} of {seen.of:g}" if seen and not seen.refusal else "refused" if seen else self.reason
        )
        outcomes = f"rule {self.rule.outcome:8} tried {reached:14} published {self.answer.outcome}"
        return f"    {self.base:36}{self.adapter:16}{outcomes}"


def _tried(python: Path, home: Path) -> Iterator[Line]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from workers.sandbox import Engine  # it reads Django's settings
    from workers.warm_engines import memory

    with Engine.serve(str(python), "", "", "measure") as engine:
        engine.wait_until_ready()
        yield Line("start of the engine", engine.start_seconds, "s")
        rows = [_row(engine, adapter.parent) for adapter in sorted(home.glob("*/*/adapter_config.json"))]
        yield Line("memory of the engine", memory(engine.pid) / 1e6, "MB")
    print(*rows, sep="\n")
    seconds = [row.seconds for row in rows]
    yield Line("a trial, median", 1000 * statistics.median(seconds), "ms", note=f"longest {max(seconds):.1f} s")
    yield Line("pairs of a base and an adapter", len(rows), "", least=PAIRS)
    yield Line("of these tried", sum(row.answer.measured is not None for row in rows), "")
    yield Line("rules alone are right", sum(row.rule.outcome == row.expected for row in rows), "")
    wrong = [f"{row.base} {row.adapter}" for row in rows if row.answer.outcome != row.expected]
    yield Line("published answers that are wrong", len(wrong), "", most=0, note="; ".join(wrong))


def _row(engine: Any, adapter: Path) -> Row:
    config = json.loads((adapter.parent / "config.json").read_text())
    began = time.monotonic()
    measured, reason = engine.measure(MeasuringJob("1", adapter, config))
    seconds, rule = time.monotonic() - began, _rule(adapter, config)
    return Row(adapter.parent.name, adapter.name, rule, judged(rule, measured) if measured else rule, reason, seconds)


def _rule(adapter: Path, config: dict[str, Any]) -> Serving:
    text = config.get("text_config") or config
    base = Base("bench/base", tuple(config["architectures"]), int(text.get("vocab_size") or 0))
    return next(row for row in serving_of(files_in(adapter), base=base) if row.engine == "vllm")


def _expected(base: str, adapter: str) -> str:
    if adapter in REFUSED:
        return "refuses"
    if adapter in DROPPED:
        return "wrong"
    if base in MAPS_BARE_NAMES:
        return "serves"
    if adapter in TABLES:
        return "serves" if base == "LlamaForCausalLM" else "refuses"
    has_vision = base.endswith("ForConditionalGeneration")
    return "serves" if adapter in PLAIN or (adapter == "text") != has_vision else "wrong"
