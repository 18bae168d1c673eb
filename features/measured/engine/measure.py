"""The warm parent of trials of a serving engine: it imports it once, and forks a jailed child for each adapter."""

import argparse
import gc
import importlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from dovetail.adapters.formats.description import within
from dovetail.adapters.readers.folder import files_in
from dovetail.adapters.results.records import Limits, Malformed
from dovetail.adapters.results.report import Measured
from dovetail.adapters.serving.subject import subject_of
from features.measured.engine import MEASURERS, Engine, Measurer, Trial, Unmeasurable, write_config
from workers.engine import jail, selftest, work_folders
from workers.engine.job import Job
from workers.engine.processes import sessions, stage
from workers.engine.processes.sessions import CODE, NAME, ONE_THREAD, Voice, fork_sessions, jobs, take_voice
from workers.engine.processes.stage import Ending, Say, Walls

HERE = Path(__file__).resolve().parent
MEASURED, UNMEASURED = "measured", "unmeasured"  # the frames of a child
LIMITS = Limits(text=1000, exact=True)
FILE_BYTES = 128 << 20  # of a file that a trial writes, such as the weights of a small base
NO_FILES = "Its files cannot be read."


def main(arguments: Sequence[str]) -> None:
    """Serve jobs, as serve.py does: JSON lines go to the original stdout; everything else that is printed to stderr."""
    parser = argparse.ArgumentParser(prog="engine")
    parser.add_argument("--idle", type=float, default=0.0, help="end after so many seconds without a job; 0: never")
    parser.add_argument("--shared", action="store_true", help="fork a session for each that the keeper asks for")
    options = parser.parse_args(arguments)
    voice = take_voice()
    findings = selftest.run()  # before torch: it forks
    engine = _import(MEASURERS[NAME])
    engine.rehearse()
    gc.collect()
    gc.freeze()  # garbage collection in children must not copy pages
    sessions.gather()
    if options.shared:
        fork_sessions(lambda: _work(take_voice(), findings, engine, options.idle))
    else:
        _work(voice, findings, engine, options.idle)


def _work(voice: Voice, findings: selftest.Findings, engine: Engine, idle_seconds: float) -> None:
    """Take jobs, and answer each one."""
    jail_document = {"holes": list(findings.holes), **findings.layers, "threads": jail.threads()}
    _say(voice, {"event": "ready", "engine": {"name": engine.ENGINE}, "base": None, "jail": jail_document})
    if findings.holes:
        sys.exit(findings.sentence())
    for request in jobs(idle_seconds):
        job = Job.parse(request)
        _say(voice, {"event": MEASURED, "job": job.id, **_measure(engine, job)})


def _import(measurer: Measurer) -> Engine:
    """Import the engine of this interpreter, and torch with one thread."""
    os.environ.update(ONE_THREAD | dict(measurer.variables))
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    return cast(Engine, importlib.import_module(f"features.measured.engine.{measurer.module}"))


def _say(voice: Voice, document: Mapping[str, object]) -> None:
    voice.write(json.dumps(document, allow_nan=False) + "\n")


def _measure(engine: Engine, job: Job) -> dict[str, object]:
    """Return what the engine did with the adapter, or why that was not seen."""
    work = Path(tempfile.mkdtemp())
    try:
        write_config(work / "base", job.more["config"])
        need = MEASURERS[NAME]
        walls = Walls(
            work,
            [job.folder, *CODE, HERE],
            job.seconds,
            job.memory_bytes,
            FILE_BYTES,
            job.idle_seconds,
            job.wall_seconds,
            threads=need.threads,
            calls=need.calls,
        )
        items = list(stage.run(walls, lambda say: _be_tried(engine, job, work, say), (), (MEASURED, UNMEASURED)))
    finally:
        work_folders.remove(work)
    *answers, ending = items
    if isinstance(ending, Ending) and (limit := _limit(ending, job)):
        return {"measured": Measured(engine=engine.ENGINE, stopped=limit).as_json(), "reason": ""}
    match answers:
        case [{"measured": document}]:
            try:
                measured = replace(Measured.parse(document, LIMITS), engine=engine.ENGINE)
                return {"measured": measured.as_json(), "reason": ""}
            except Malformed as problem:
                return {"measured": None, "reason": f"The trial's answer is malformed: {problem}."}
        case [{"unmeasured": str() as reason}]:
            return {"measured": None, "reason": reason[: LIMITS.text]}
        case [{"crash": str() as crash}]:
            reason = f"The trial ended without an answer: {crash}"[: LIMITS.text]
            return {"measured": None, "reason": reason, "ended": True}
    return {"measured": None, "reason": f"The trial ended without an answer: {ending}.", "ended": True}


def _limit(ending: Ending, job: Job) -> str:
    """Return the limit of time at which a trial was stopped, "" for none; a busy machine is no such limit."""
    if ending.excess == "idle":
        return f"because it did nothing for {job.idle_seconds:g} seconds"
    if ending.excess == "cpu" or ending.signal == signal.SIGXCPU:
        return f"after {job.seconds:g} seconds of processor time, the limit of a trial"
    return ""


def _be_tried(engine: Engine, job: Job, work: Path, say: Say) -> None:
    """Let the serving engine load the adapter, in the jailed child."""
    subject = subject_of(within(files_in(job.folder), job.place))
    if subject is None:
        say({UNMEASURED: NO_FILES})
        return
    try:
        measured = engine.measure(Trial(subject, job.folder / job.place, job.more["config"], work, job.more["runs"]))
    except Unmeasurable as reason:
        say({UNMEASURED: str(reason)})
    else:
        say({MEASURED: measured.as_json()})
