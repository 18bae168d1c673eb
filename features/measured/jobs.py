"""Trials in a worker: it lays adapters out, asks the parent of a serving engine, and records what that did."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from dovetail.adapters.results.report import Measured
from features.measured import feature
from features.measured.engine import MEASURERS
from registry.kernel.seams import Jobs
from registry.proof.verdicts.comparisons import Comparing
from registry.proof.verdicts.queue import Capabilities
from workers.engine.job import Job
from workers.engines import capabilities, warm_engines
from workers.engines.sandbox import Engine, EngineFault, EngineMissing
from workers.loop import compare_one

logger = logging.getLogger(__name__)

MODULE = "features.measured.engine.measure"  # what runs in the interpreter of a serving engine
SECONDS = 20.0  # of processor time, for one trial; most take one to three
WALL_SECONDS = 120.0  # of it by the clock, on a busy machine


class TrialEnded(EngineFault):
    """The trial of a serving engine crashed, or the machine was too busy for it; the engine itself goes on."""


def work() -> bool:
    """Do a trial for which an engine is ready; without one, start an engine. Return whether there was one."""
    able = Capabilities(engines=tuple(capabilities.present(feature.engines())))
    return compare_one(able, try_serving_engine, _warm)


JOBS = Jobs(later=(work,))


def try_serving_engine(claim: Comparing, jobs: Sequence[Job]) -> None:
    """Try the adapters of a claimed trial, and record what the engine did with each.

    Raises ClaimStale, EngineFault and OSError.
    """
    verdict, name = claim.verdict, claim.row.engine
    config = feature.config_for(name, claim.base, verdict.base)
    trials = {job.place: measure(_engine(name), _trial(job, config, name)) for job in jobs if config is not None}
    if reasons := [reason for measured, reason in trials.values() if measured is None]:
        logger.info("A serving engine was not tried: %s", reasons[0], extra={"verdict": verdict.pk, "engine": name})
    feature.record(claim, trials)


def _trial(job: Job, config: Mapping[str, Any], name: str) -> Job:
    return Job(
        job.id,
        job.folder,
        seconds=min(SECONDS, job.seconds),
        memory_bytes=job.memory_bytes,
        place=job.place,
        more={
            "config": config,  # of the base
            "runs": {"mapping": False, "run": True}.get(settings.ENGINES_DEPTH, MEASURERS[name].runs),
        },
        idle_seconds=job.idle_seconds,
        wall_seconds=WALL_SECONDS,
    )


def measure(engine: Engine, job: Job) -> tuple[Measured | None, str]:
    """Try a serving engine with one adapter; return what it did, or None and why that was not seen.

    Raises `TrialEnded`, and `EngineDied`, `EngineHung` and `EngineLied`, each of which kills the engine.
    """
    with engine.asked(job, "measured") as message:
        document = message.get("measured")
        measured = Measured.parse(document) if document is not None else None
    if message.get("ended"):
        raise TrialEnded(str(message.get("reason")))
    return measured, str(message.get("reason"))


def _engine(name: str) -> Engine:
    """Return a warm engine that tries a serving engine; it holds no base. Raises EngineMissing."""
    arguments = (str(capabilities.interpreter(name)), "", "", MODULE)
    size = MEASURERS[name].memory - warm_engines.RUNTIME_BYTES
    return warm_engines.ENGINES.get((name, ""), arguments, size=size)


def _warm(name: str, _: str) -> None:
    with contextlib.suppress(EngineMissing):
        _engine(name)
