"""One validation as a straight pipe: lay out → prove → survey → derive → record; each step returns a new report."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from dovetail.adapters import config as configs
from dovetail.adapters.places import within
from dovetail.adapters.report import BasePin, CheckResult, EngineRow, Report
from registry.kernel.errors import ClaimStale, ShelfProblem, StoreUnavailable
from registry.models import Base
from registry.proof import fit, verdicts
from registry.proof.verdicts import Claim
from workers import derived_artifacts, engine_matrix, leases, provenance, several_adapters, warm_engines
from workers.engine.job import Job
from workers.laying_out import LaidOut, lay_out

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.25
Listener = Callable[[CheckResult], None]


def validate(claim: Claim) -> None:
    """Prove the revision of a claimed verdict and record the report; the claim is let go whatever happens."""
    verdict = claim.verdict.pk
    try:
        with leases.kept(partial(verdicts.heartbeat, claim)):
            _validate(claim)
    except ClaimStale:
        logger.warning("A claim was lost during its validation", extra={"verdict": verdict})
    except (StoreUnavailable, ShelfProblem, OSError) as problem:  # a part of the hub is down, a disk is full
        logger.error("A validation waits: %s", problem, extra={"verdict": verdict})
        _give_back(claim, str(problem), counted=False)
    except Exception as problem:  # whatever broke, the row must not wait for its lease to end
        logger.exception("A validation broke", extra={"verdict": verdict})
        _give_back(claim, f"{type(problem).__name__}: {problem}")


def _validate(claim: Claim) -> None:
    started = time.monotonic()
    with lay_out(claim.verdict, f"{claim.verdict.pk}-{claim.attempt.number}") as laid_out:
        report = prove(laid_out, _Progress(claim))
        report = survey(laid_out, report)
    milliseconds = round(1000 * (time.monotonic() - started))
    report = derived_artifacts.derive(claim.verdict.revision, report)
    record(claim, report, milliseconds)


def _give_back(claim: Claim, reason: str, *, counted: bool = True) -> None:
    try:
        verdicts.give_back(claim, reason, counted=counted)
    except ClaimStale:
        logger.warning("A claim was lost during its validation", extra={"verdict": claim.verdict.pk})


# --- prove -----------------------------------------------------------------------------------------------------------
class _Progress:
    """Shows the checks that ended, a few times a second at most: they come in bursts and each write costs time."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._checks: list[CheckResult] = []
        self._shown_at = time.monotonic()

    def __call__(self, check: CheckResult) -> None:
        self._checks.append(check)
        if time.monotonic() - self._shown_at >= PROGRESS_SECONDS:
            verdicts.progress(self._claim, self._checks)
            self._shown_at = time.monotonic()


def prove(laid_out: LaidOut, on_check: Listener) -> Report:
    """Return one report on all adapters that the verdict is about, with a row for each engine that was asked."""
    base, places = laid_out.base, laid_out.places
    reports: dict[str, Report] = {}
    rows: list[EngineRow] = []
    for job in laid_out.jobs:
        reports[job.place], asked = _prove_adapter(job, base, on_check)
        rows += asked
    report = several_adapters.combine(reports)
    engines = several_adapters.worst_rows(rows)
    return replace(
        report,
        base=BasePin(base.id, base.revision, base.sha256) if base else None,  # as the base cache knows it
        engines=engines,
        contents=several_adapters.contents_of(laid_out.adapters, places),
        path=places[0] if len(places) == 1 else "",
        proven_with=provenance.of(report.depth, [row.name for row in engines]),
    )


def _prove_adapter(job: Job, base: Base | None, on_check: Listener) -> tuple[Report, list[EngineRow]]:
    """Return the report of the first engine that passes the adapter, else of the first one, and a row for each."""
    reports: list[Report] = []
    rows: list[EngineRow] = []
    for name in engine_matrix.engines(job.folder, job.place):
        # The page of a running verdict shows the checks of the first engine alone.
        listener = _ignore if reports else partial(_tell_placed, on_check, job.place)
        report = warm_engines.engine_for(base, name).run(job, on_check=listener)
        rows.append(engine_matrix.row(name, report))
        reports.append(report)
        if report.is_passed or not _is_run(base) or not engine_matrix.depends_on_engine(report):
            break
    return reports[-1] if reports[-1].is_passed else reports[0], rows


def _is_run(base: Base | None) -> bool:
    """Return whether adapters of this base are loaded and run: only if its weights are here."""
    return base is not None and base.has_weights


def _tell_placed(on_check: Listener, place: str, check: CheckResult) -> None:
    on_check(several_adapters.placed(check, place))


def _ignore(check: CheckResult) -> None:
    pass


# --- survey and record -----------------------------------------------------------------------------------------------
def survey(laid_out: LaidOut, report: Report) -> Report:
    """Return the report with the known bases that the adapter fits."""
    answers = fit.survey_files(within(laid_out.files, laid_out.places[0]))
    return fit.with_fits(report, answers, configs.names(dict(laid_out.job.card), "base_model"))


def record(claim: Claim, report: Report, milliseconds: int) -> None:
    """Record the report, and ask for the comparisons with other engines. Raises ClaimStale."""
    verdicts.record(claim, report, milliseconds, compare=_to_compare(claim, report))
    details = {"verdict": claim.verdict.pk, "state": report.state, "ms": milliseconds}
    logger.info("A validation ended", extra=details)


def _to_compare(claim: Claim, report: Report) -> list[str]:
    """Return the other engines that shall judge an adapter that was run and passed: those of any living worker."""
    if not report.is_passed or report.depth == "fit" or not claim.verdict.route:
        return []
    built = {*engine_matrix.built(), *verdicts.Crew.now().engines}
    return [engine for engine in engine_matrix.missing(report) if engine in built]
