"""The first step of a validation after the files are laid out: run the engines, and make one report of theirs."""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from dovetail.adapters.results.report import BasePin, EngineRow, Report
from registry.kernel.outbound import tracing
from registry.models import Base
from workers.engine.job import Job
from workers.engines import engine_matrix, warm_engines
from workers.engines.sandbox import Engine
from workers.validation import progress, provenance, several_adapters
from workers.validation.laying_out import LaidOut
from workers.validation.progress import Listener

logger = logging.getLogger(__name__)


class Proof(NamedTuple):
    """The report on one adapter, and a row for each engine that judged it."""

    report: Report
    rows: tuple[EngineRow, ...]


def prove(laid_out: LaidOut, on_check: Listener) -> Report:
    """Return one report on all adapters that the verdict is about, with a row for each engine that judged them."""
    base, places = laid_out.base, laid_out.places
    proofs = {job.place: _prove_adapter(job, base, on_check) for job in laid_out.jobs}
    reports = {place: proof.report for place, proof in proofs.items()}
    report = several_adapters.combine(reports)
    engines = several_adapters.worst_rows({place: proof.rows for place, proof in proofs.items()})
    return replace(
        report,
        base=BasePin(base.id, base.revision, base.sha256) if base else None,  # as the base cache knows it
        engines=engines,
        contents=several_adapters.contents_of(laid_out.adapters, reports),
        path=places[0] if len(places) == 1 else "",
        proven_with=provenance.of(report.depth, [row.name for row in engines]),
    )


def _prove_adapter(job: Job, base: Base | None, on_check: Listener) -> Proof:
    """Return the proof with the report of the first engine that passes the adapter, else of the first engine."""
    reports = dict(_ask_engines(job, base, on_check))
    first = next(iter(reports.values()))
    decisive = next((report for report in reports.values() if report.is_passed), first)
    return Proof(decisive, tuple(engine_matrix.row(name, report) for name, report in reports.items()))


def _ask_engines(job: Job, base: Base | None, on_check: Listener) -> Iterator[tuple[str, Report]]:
    """Yield engine and report until an engine passes the adapter, or until no other engine could judge differently."""
    listener = progress.placed(on_check, job.place)
    for name in engine_matrix.engines(job.folder, job.place):
        report = _run(warm_engines.engine_for(base, name), name, job, listener)
        yield name, report
        if report.is_passed or not _is_run(base) or not engine_matrix.depends_on_engine(report):
            return
        listener = progress.ignore  # the page of a running verdict shows the checks of the first engine alone


def _run(engine: Engine, name: str, job: Job, listener: Listener) -> Report:
    """Run a job, and log which process did it: the kernel's own log names processes by their numbers."""
    started = time.monotonic()
    with tracing.span("engine", engine=name, job=job.id):
        report = engine.run(job, on_check=listener)
    milliseconds = round(1000 * (time.monotonic() - started))
    details = {"engine": name, "engine_pid": engine.pid, "job": job.id, "state": report.state, "ms": milliseconds}
    logger.info("An engine answered", extra=details)
    return report


def _is_run(base: Base | None) -> bool:
    """Return whether adapters of this base are loaded and run: only if its weights are here."""
    return base is not None and base.has_weights
