"""Trials of diffusers beside its rules: LoRAs for pipelines of real size, and the outcomes known to be right."""

import os
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

from bench.line import Line
from dovetail.adapters import files_in
from dovetail.adapters.serving import serving_of
from dovetail.adapters.serving.diffusers import KEY
from ops import environments
from ops.sentences import ROOT
from workers.engine.job import Job

PAIRS = 140
# Outcomes of diffusers 0.42.1, watched by hand in its loader: first those of every pipeline, then the differences.
# Of what is `wrong`, nothing or a part is reached, or another scale is used, and no error says so.
EVERYWHERE = {
    "own-names": "serves",
    "older-names": "serves",
    "dora": "serves",
    "with-text": "serves",
    "kohya": "serves",
    "kohya-with-text": "serves",
    "kohya-own-paths": "serves",
    "comfy": "serves",
    "half-unknown": "wrong",
    "peft-prefix": "wrong",
    "bare-names": "wrong",
    "unknown-path": "refuses",
    "other-size": "refuses",
    "settings-in-file": "serves",
    "kohya-other-alpha": "serves",
    "peft-other-alpha": "wrong",
    "kohya-dora": "wrong",
    "kohya-unlike-alphas": "serves",
}
DIFFERENT: Mapping[str, Mapping[str, str]] = {
    "StableDiffusionPipeline": {"comfy": "wrong", "kohya-unlike-alphas": "wrong"},  # attention gets another's alpha
    "StableDiffusionXLPipeline": {"comfy": "wrong", "kohya-unlike-alphas": "wrong"},
    "StableDiffusion3Pipeline": {
        "comfy": "wrong",
        "kohya": "wrong",
        "kohya-own-paths": "wrong",
        "kohya-with-text": "wrong",
        "kohya-other-alpha": "wrong",
        "kohya-unlike-alphas": "wrong",
    },
    "FluxPipeline": {
        "comfy": "wrong",
        "kohya-own-paths": "refuses",
        "peft-prefix": "refuses",
        "peft-other-alpha": "refuses",
    },
    "Flux2Pipeline": {"kohya-own-paths": "wrong", "peft-prefix": "serves"},
    "WanPipeline": {"kohya-own-paths": "refuses"},
}


def lines() -> Iterator[Line]:
    python = environments.ensure_engine("diffusers")
    from workers.engines.sandbox import Engine  # it reads Django's settings
    from workers.engines.warm_engines import share

    jobs = import_module("features.measured.jobs")
    wrong, seconds, depths = [], [], Counter[str]()
    with tempfile.TemporaryDirectory(prefix="dovetail-pipelines-") as name:
        home, path = Path(name), f"{ROOT}:{ROOT}/client/src"
        script: list[str | Path] = [python, "-P", ROOT / "bench/make_diffusers_adapters.py", home]
        subprocess.run(script, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": path})
        with Engine.serve(str(python), "", "", jobs.MODULE) as engine:
            engine.wait_until_ready()
            yield Line("diffusers: start", engine.start_seconds, "s")
            for folder in sorted(file.parent for file in home.glob("*/*/*.safetensors")):
                pipeline, adapter = folder.parent.name, folder.name
                began = time.monotonic()
                told = {"config": {KEY: pipeline}, "runs": True}
                job = Job("1", folder, jobs.SECONDS, wall_seconds=jobs.WALL_SECONDS, more=told)
                measured, reason = jobs.measure(engine, job)
                seconds.append(time.monotonic() - began)
                rule = next(row for row in serving_of(files_in(folder)) if row.engine == "diffusers")
                published = jobs.feature.judged(rule, measured) if measured else rule
                expected = DIFFERENT.get(pipeline.partition(" ")[0], {}).get(adapter, EVERYWHERE[adapter])
                mark = "" if published.outcome in (expected, "unknown") else f" EXPECTED {expected}"
                tried = reason
                if measured:
                    tried = f"{measured.depth} {measured.modules:g} of {measured.of:g} {measured.answer or ''} "
                    tried += measured.refusal[:60] or (measured.not_run or "")[:60]
                depths[measured.depth if measured else "not tried"] += 1
                row = f"{pipeline} {adapter}: rule {rule.outcome}, tried {tried}, published {published.outcome}{mark}"
                print(f"    {row}", flush=True)
                wrong += [row] if mark else []
            yield Line("diffusers: memory while it waits", share(engine) / 1e6, "MB")
    yield Line(
        "diffusers: a trial, median", 1000 * statistics.median(seconds), "ms", note=f"longest {max(seconds):.1f} s"
    )
    yield Line("diffusers: pairs", len(seconds), "", least=PAIRS, note=str(dict(depths)))
    yield Line("diffusers: published against the truth", len(wrong), "", most=0, note="; ".join(wrong))
