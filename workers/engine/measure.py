"""The warm parent of trials of a serving engine: it imports vLLM once, and forks a jailed child for each adapter."""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from dovetail.adapters.places import within
from dovetail.adapters.records import Limits, Malformed
from dovetail.adapters.report import Measured
from dovetail.adapters.serving.subject import subject_of
from dovetail.adapters.sources import files_in
from workers.engine import jail, memory, selftest, stage
from workers.engine.job import MeasuringJob
from workers.engine.serve import ONE_THREAD
from workers.engine.stage import Ending, Say, Walls
from workers.engine.validation import CODE

# vLLM reads them once, when it is imported.
VLLM = {
    "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1", "VLLM_PLUGINS": "", "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}  # fmt: skip
MEASURED, UNMEASURED = "measured", "unmeasured"  # the frames of a child
LIMITS = Limits(text=1000, exact=True)
NO_FILES = "Its files cannot be read."


def main() -> None:
    """Serve jobs, as serve.py does: JSON lines go to the original stdout; everything else that is printed to stderr."""
    voice = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    findings = selftest.run()  # before torch: it forks
    os.environ.update(ONE_THREAD | VLLM)
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    from workers.engine import mapping

    mapping.rehearse()
    gc.collect()
    gc.freeze()  # garbage collection in children must not copy pages
    memory.gather()
    jail_document = {"holes": list(findings.holes), **findings.layers, "threads": jail.threads()}
    _say(voice, {"event": "ready", "engine": {"name": mapping.ENGINE}, "base": None, "jail": jail_document})
    if findings.holes:
        sys.exit(findings.sentence())
    for line in sys.stdin:
        job = MeasuringJob.parse(json.loads(line)["job"])
        measured, reason = _measure(job)
        document = replace(measured, engine=mapping.ENGINE).as_json() if measured else None
        _say(voice, {"event": MEASURED, "job": job.id, "measured": document, "reason": reason})


def _say(voice: Any, document: dict[str, Any]) -> None:
    voice.write(json.dumps(document, allow_nan=False) + "\n")


def _measure(job: MeasuringJob) -> tuple[Measured | None, str]:
    """Return what the engine did with the adapter, or why that was not seen."""
    from workers.engine import mapping

    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        mapping.write_config(base, job.config)
        walls = Walls(None, [job.folder, base, *CODE], job.seconds, job.memory_bytes)
        items = list(stage.run(walls, lambda say: _be_tried(job, base, say), (), (MEASURED, UNMEASURED)))
    answers = [item for item in items if not isinstance(item, Ending)]
    match answers:
        case [{"measured": document}]:
            try:
                return Measured.parse(document, LIMITS), ""
            except Malformed as problem:
                return None, f"The trial's answer is malformed: {problem}."
        case [{"unmeasured": str() as reason}]:
            return None, reason[: LIMITS.text]
    return None, f"The trial ended without an answer: {items[-1]}."


def _be_tried(job: MeasuringJob, base: Path, say: Say) -> None:
    """Take the adapter, in the jailed child."""
    from workers.engine import mapping

    subject = subject_of(within(files_in(job.folder), job.place))
    if subject is None:
        say({UNMEASURED: NO_FILES})
        return
    try:
        measured = mapping.measure(base, job.config, job.folder / job.place, subject)
    except mapping.Unmeasurable as reason:
        say({UNMEASURED: str(reason)})
    else:
        say({MEASURED: measured.as_json()})
