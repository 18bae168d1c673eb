"""The warm parent: loads the base once, then takes jobs from its pipe; it never opens an uploaded file itself."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dovetail.adapters.results.report import CheckResult, EngineVersions
from workers.engine import jail, selftest
from workers.engine.job import Job
from workers.engine.processes import sessions
from workers.engine.processes.sessions import CODE, NAME, ONE_THREAD, Voice, fork_sessions, jobs, take_voice
from workers.engine.processes.stage import ANSWERED
from workers.engine.processes.validation import Validation
from workers.engine.programs import run_all

if TYPE_CHECKING:
    import torch

    from workers.engine.models.frozen import Frozen
    from workers.engine.processes.resident import Resident

THREADS = 1
COMPARE_EVERY = 500  # jobs; proves that children do not reach the parent's memory


class Warm(NamedTuple):
    """A warm base that sessions share. With a `place`, a resident process on that device stands for the children."""

    frozen: Frozen | None = None
    place: torch.device | None = None
    versions: EngineVersions = EngineVersions(NAME)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="engine")
    parser.add_argument("--base", type=Path)
    parser.add_argument("--base-id", default="")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N, or auto: CUDA if available")
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--no-fork", action="store_true", help="one process loads all adapters, as on CUDA")
    parser.add_argument("--shared", action="store_true", help="fork a session for each that the keeper asks for")
    parser.add_argument("--idle", type=float, default=0.0, help="end after so many seconds without a job; 0: never")
    options = parser.parse_args(arguments)
    if options.base and not options.base_id:
        parser.error("--base needs --base-id")
    serve(options)


def serve(options: argparse.Namespace) -> None:
    """Warm up, and serve jobs: in this process, or in sessions that share its memory."""
    voice = take_voice()
    findings = selftest.run()  # before torch: it forks
    warm = _warm(options) if options.base else Warm()
    gc.collect()
    gc.freeze()  # garbage collection in children must not copy pages
    sessions.gather()
    if options.shared:
        fork_sessions(lambda: _work(take_voice(), findings, warm, options.idle))
    else:
        _work(voice, findings, warm, options.idle)


def _work(voice: Voice, findings: selftest.Findings, warm: Warm, idle_seconds: float) -> None:
    """Take jobs, and answer each one."""
    frozen, versions = warm.frozen, warm.versions
    resident = _resident(warm)
    base = {"id": frozen.id, "sha256": frozen.sha256} if frozen else None
    known = {name: value for name, value in versions.as_json().items() if value}
    jail_document = {"holes": list(findings.holes), **findings.layers, "threads": jail.threads()}
    _say(voice, {"event": "ready", "engine": known, "base": base, "jail": jail_document})
    if findings.holes:
        sys.exit(findings.sentence())
    for count, document in enumerate(jobs(idle_seconds), 1):
        job = Job.parse(document)
        if job.programs and frozen is not None:
            _say(voice, {"event": "programs", "job": job.id, "programs": run_all(job, frozen)})
            continue
        if job.module:
            answered = import_module(job.module).answer(job, frozen, resident)
            _say(voice, {"event": ANSWERED, "job": job.id, **answered})
            continue
        report = Validation(job, frozen, partial(_tell, voice, job), resident).run()
        verdict = replace(report, engine=versions).as_json()
        _say(voice, {"event": "verdict", "job": job.id, "verdict": verdict})
        if count % COMPARE_EVERY == 0:
            _compare(frozen)
    _compare(frozen)
    if resident is not None:
        resident.close()


def _resident(warm: Warm) -> Resident | None:
    """Return a started resident on the device that needs one."""
    if warm.frozen is None or warm.place is None:
        return None
    from workers.engine.processes.resident import Resident

    resident = Resident(warm.frozen, warm.place, [*CODE, warm.frozen.folder])
    resident.start()
    return resident


def _compare(frozen: Frozen | None) -> None:
    if frozen and not frozen.is_intact():
        sys.exit("The frozen base in memory has changed; this engine must not go on.")


def _tell(voice: Voice, job: Job, check: CheckResult) -> None:
    _say(voice, {"event": "check", "job": job.id, "check": check.as_json()})


def _say(voice: Voice, document: Mapping[str, object]) -> None:
    voice.write(json.dumps(document, allow_nan=False) + "\n")


def _warm(options: argparse.Namespace) -> Warm:
    """Import everything, load the base, and load and run a first adapter, so that children start fast."""
    os.environ.update(ONE_THREAD)
    import torch

    torch.set_num_threads(THREADS)
    torch.set_num_interop_threads(THREADS)
    import tqdm
    from transformers.utils import logging

    tqdm.tqdm.monitor_interval = 0  # its first progress bar would start a thread, and no process with two may fork
    logging.disable_progress_bar()
    from workers.engine.evals.rows import BATCH
    from workers.engine.models import device
    from workers.engine.models.frozen import Frozen
    from workers.engine.processes import warmth

    try:
        place = device.device(options.device)
    except device.NoDevice as problem:
        sys.exit(str(problem))
    folder = options.base.resolve()
    frozen = Frozen(folder, options.base_id, device.dtype(options.dtype, folder))
    warmth.rehearse(frozen)
    stays = options.no_fork or place.type != "cpu"
    versions = EngineVersions(
        NAME,
        **warmth.versions(),
        attention=frozen.attention,
        device=str(place),
        dtype=str(frozen.dtype).removeprefix("torch."),
        threads=THREADS,
        batch=BATCH,
    )
    return Warm(frozen, place if stays else None, versions)
