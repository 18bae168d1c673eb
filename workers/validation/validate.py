"""One validation as a straight pipe: lay out → prove → survey → derive → record; each step returns a new report."""

import logging
import time
from functools import partial
from typing import Any

from registry.kernel.errors import ClaimStale, ShelfProblem, StoreUnavailable
from registry.kernel.outbound import request_ids, tracing
from registry.proof import verdicts
from registry.proof.verdicts import Claim
from workers.engines import leases
from workers.engines.engine_faults import EngineSlow
from workers.validation import claim_details
from workers.validation.derived_artifacts import derive
from workers.validation.laying_out import lay_out
from workers.validation.progress import Progress
from workers.validation.proving import prove
from workers.validation.recording import give_back, record
from workers.validation.surveying import survey

logger = logging.getLogger(__name__)


def validate(claim: Claim) -> None:
    """Prove the revision of a claimed verdict and record the report; the claim is let go whatever happens."""
    details = claim_details.of(claim.verdict) | {"attempt": claim.attempt.number}
    with request_ids.working_for(claim.verdict.request_id), tracing.span("validate", **details):
        _validate_kept(claim, details)


def _validate_kept(claim: Claim, details: dict[str, Any]) -> None:
    logger.info("A validation began", extra=details)
    try:
        with leases.kept(partial(verdicts.heartbeat, claim)):
            _validate(claim)
    except ClaimStale:
        logger.warning("A claim was lost during its validation", extra=details)
    except EngineSlow as problem:  # it goes on starting meanwhile
        logger.warning("A validation waits: %s", problem, extra=details)
        give_back(claim, str(problem), counted=False)
    except (StoreUnavailable, ShelfProblem, OSError) as problem:  # a part of the hub is down, a disk is full
        logger.error("A validation waits: %s", problem, extra=details)
        give_back(claim, str(problem), counted=False)
    except Exception as problem:  # whatever broke, the row must not wait for its lease to end
        logger.exception("A validation broke", extra=details)
        give_back(claim, f"{type(problem).__name__}: {problem}")


def _validate(claim: Claim) -> None:
    started = time.monotonic()
    name = f"{claim.verdict.pk}-{claim.attempt.number}"
    with lay_out(claim.verdict, name, compared=True) as laid_out:
        report = prove(laid_out, Progress(claim))
        report = survey(laid_out, report)
    milliseconds = round(1000 * (time.monotonic() - started))
    report = derive(claim.verdict.revision, report)
    record(claim, report, milliseconds)
