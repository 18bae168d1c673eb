"""Tries a serving engine with an adapter that passed, and adds what it did to the verdict; it decides nothing."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from django.conf import settings

from registry.proof.verdicts import comparisons
from registry.proof.verdicts.comparisons import Comparing
from workers.engine.job import MEASURERS, TRIAL_SECONDS, Job, MeasuringJob
from workers.engines import engine_matrix, leases, warm_engines
from workers.validation.laying_out import lay_out

logger = logging.getLogger(__name__)


def measure(claim: Comparing) -> None:
    """Try the adapters of a claimed measurement, and record what the engine did with each.

    Raises ClaimStale, EngineFault, StoreUnavailable, ShelfProblem and OSError.
    """
    verdict, name = claim.verdict, claim.row.engine
    with (
        leases.kept(partial(comparisons.heartbeat, claim)),
        lay_out(verdict, f"{verdict.pk}-{name}-{claim.row.attempt}") as laid_out,
    ):
        config = engine_matrix.config_for(name, laid_out.base, verdict.base)
        jobs = [_job(job, config, name) for job in laid_out.jobs] if config is not None else []
        trials = {job.place: warm_engines.measurer(name).measure(job) for job in jobs}
    if reasons := [reason for measured, reason in trials.values() if measured is None]:
        logger.info("A serving engine was not tried: %s", reasons[0], extra={"verdict": verdict.pk, "engine": name})
    comparisons.record_measured(claim, trials)


def _job(job: Job, config: Mapping[str, Any], name: str) -> MeasuringJob:
    runs = {"mapping": False, "run": True}.get(settings.ENGINES_DEPTH, MEASURERS[name].runs)
    seconds = min(TRIAL_SECONDS, job.seconds)
    return MeasuringJob(job.id, job.folder, config, job.place, runs, seconds, job.idle_seconds, job.memory_bytes)
