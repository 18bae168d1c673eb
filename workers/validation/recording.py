"""The last step of a validation: record its report, or give the claim back."""

import logging

from django.conf import settings

from dovetail.adapters.results.report import Report
from dovetail.adapters.serving.measured import waiting
from registry.kernel.errors import ClaimStale
from registry.proof import verdicts
from registry.proof.verdicts import Claim
from workers.engine.job import MEASURERS
from workers.engines import engine_matrix
from workers.validation import claim_details

logger = logging.getLogger(__name__)


def record(claim: Claim, report: Report, milliseconds: int) -> None:
    """Record the report, and ask for comparisons with other engines and for measurements. Raises ClaimStale."""
    compare, measure = _to_compare(claim, report), _to_measure(claim, report)
    if measure:
        before = verdicts.finished_before(claim.verdict)
        report = waiting(report, measure, before.report if before else None)
    verdicts.record(claim, report, milliseconds, compare=compare, measure=measure)
    outcome = {"attempt": claim.attempt.number, "state": report.state, "ms": milliseconds}
    engine = {"engine": report.engine.name if report.engine else None}
    details = claim_details.of(claim.verdict) | engine | outcome
    if report.state == "errored" and report.refusal:
        logger.error("A validation ended by a fault of ours: %s", report.refusal.message, extra=details)
    else:
        logger.info("A validation ended", extra=details)


def _to_compare(claim: Claim, report: Report) -> list[str]:
    """Return the other engines that shall judge an adapter that was run and passed: those of any living worker.

    The engine that decided comes first: it runs the programs of Use.
    """
    if not report.is_passed or report.depth == "fit" or not claim.verdict.route:
        return []
    built = {*engine_matrix.built(), *verdicts.Fleet.now().engines}
    first = [report.engine.name] if report.usage and report.engine else []
    return [*first, *(engine for engine in engine_matrix.missing(report) if engine in built)]


def _to_measure(claim: Claim, report: Report) -> list[str]:
    """Return the serving engines that shall be tried with an adapter: those that read its format, on a known base."""
    rows = [
        row for row in report.serving if row.engine in MEASURERS and f"{row.engine}.format" not in (row.rules or ())
    ]
    if not settings.ENGINES_MEASURED or not rows:
        return []
    base, name = verdicts.base_for(claim.verdict.base), claim.verdict.base
    known = [row.engine for row in rows if engine_matrix.config_for(row.engine, base, name) is not None]
    built = {*engine_matrix.measurers(), *verdicts.Fleet.now().engines} if known else set()
    return [engine for engine in known if engine in built]


def give_back(claim: Claim, reason: str, *, counted: bool = True) -> None:
    """Put the verdict back into its queue; a claim that is stale was put back already."""
    try:
        verdicts.give_back(claim, reason, counted=counted)
    except ClaimStale:
        logger.warning("A claim was lost during its validation", extra=claim_details.of(claim.verdict))
