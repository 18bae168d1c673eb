"""The warm parent: gets ready once, then takes job after job from its pipe; it never opens an uploaded byte itself."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.engine import jail, memory, selftest
from workers.engine.job import Job
from workers.engine.validation import Validation

if TYPE_CHECKING:
    from workers.engine.frozen import Frozen

NAME = Path(sys.prefix).name  # an engine is called by the folder of its interpreter: .engines/e5
COMPARE_EVERY = 500  # children cannot reach it: this is the proof, not the guard
ONE_THREAD = {
    "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_DEACTIVATE_ASYNC_LOAD": "1",
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error",
}  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="engine")
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--base", type=Path)
    parser.add_argument("--base-id", default="")
    options = parser.parse_args(arguments)
    if options.base and not options.base_id:
        parser.error("--base needs --base-id")
    serve(options.base, options.base_id)


def serve(folder: Path | None, base_id: str) -> None:
    """Speaks on what was stdout; everything else that is printed here goes to stderr."""
    voice = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    findings = selftest.run()  # before torch: it forks
    frozen, versions = (None, {"name": NAME}) if folder is None else _warm(folder, base_id)
    gc.collect()
    gc.freeze()  # children must not copy pages for the sake of garbage collection
    memory.gather()
    base = {"id": frozen.id, "sha256": frozen.sha256} if frozen else None
    held = {"holes": list(findings.holes), **findings.layers, "threads": jail.threads()}
    _say(voice, {"event": "ready", "engine": versions, "base": base, "jail": held})
    if findings.holes:
        sys.exit(findings.sentence())
    for count, line in enumerate(sys.stdin, 1):
        _take(voice, Job.parse(json.loads(line)["job"]), frozen, versions)
        if count % COMPARE_EVERY == 0:
            _compare(frozen)
    _compare(frozen)


def _compare(frozen: Frozen | None) -> None:
    if frozen and not frozen.is_intact():
        sys.exit("The frozen base in memory has changed; this engine must not go on.")


def _take(voice: Any, job: Job, frozen: Frozen | None, versions: dict[str, str]) -> None:
    validation = Validation(job, frozen, lambda check: _say(voice, {"event": "check", "job": job.id, "check": check}))
    verdict = validation.run()
    _say(voice, {"event": "verdict", "job": job.id, "verdict": verdict | {"engine": versions}})


def _say(voice: Any, said: dict[str, Any]) -> None:
    voice.write(json.dumps(said, allow_nan=False) + "\n")


def _warm(folder: Path, base_id: str) -> tuple[Frozen, dict[str, str]]:
    """Imports everything, loads the base, and loads and runs a first adapter, so that no child has to."""
    os.environ.update(ONE_THREAD)
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    import tqdm
    from transformers.utils import logging

    tqdm.tqdm.monitor_interval = 0  # its first progress bar would start a thread, and no process with two may fork
    logging.disable_progress_bar()
    from workers.engine import warmth
    from workers.engine.frozen import ATTENTION, Frozen

    frozen = Frozen(folder.resolve(), base_id)
    warmth.rehearse(frozen)
    return frozen, {"name": NAME, **warmth.versions(), "attention": ATTENTION}
