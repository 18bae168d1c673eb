"""Does what waits until no validation does: comparisons, programs of Use, and trials of serving engines."""

import logging
from functools import partial

from registry.kernel.errors import ClaimStale, ShelfProblem, StoreUnavailable
from registry.kernel.outbound import request_ids
from registry.proof.verdicts import comparisons
from registry.proof.verdicts.comparisons import Comparing
from workers import measuring, program_runs
from workers.engine.job import MEASURERS
from workers.engines import engine_matrix, leases, warm_engines
from workers.engines.engine_faults import EngineFault
from workers.validation import claim_details, progress, several_adapters
from workers.validation.laying_out import lay_out

logger = logging.getLogger(__name__)

COMPARE_AGAIN_SECONDS = 60


def compare(claim: Comparing) -> None:
    """Do a claimed comparison or measurement and record its answer, or put it off."""
    with request_ids.working_for(claim.verdict.request_id):
        _compare(claim)


def _compare(claim: Comparing) -> None:
    details = claim_details.of(claim.verdict) | {"engine": claim.row.engine}
    try:
        if claim.row.engine in MEASURERS:
            measuring.measure(claim)
        elif claim.is_of_programs:
            program_runs.run(claim)
        else:
            _run(claim)
    except ClaimStale:
        logger.warning("A comparison was lost while it was made", extra=details)
    except (EngineFault, StoreUnavailable, ShelfProblem, OSError) as problem:  # the verdict stands
        logger.warning("A verdict was not compared: %s", problem, extra=details)
        comparisons.pause(claim, COMPARE_AGAIN_SECONDS)


def _run(claim: Comparing) -> None:
    """Run the adapters on the engine and record its row."""
    verdict, name = claim.verdict, claim.row.engine
    with (
        leases.kept(partial(comparisons.heartbeat, claim)),
        lay_out(verdict, f"{verdict.pk}-{name}-{claim.row.attempt}") as laid_out,
    ):
        engine = partial(warm_engines.engine_for, laid_out.base, name)
        rows = {
            job.place: [engine_matrix.row(name, engine().run(job, on_check=progress.ignore))] for job in laid_out.jobs
        }
        comparisons.record(claim, several_adapters.worst_rows(rows)[0])
