"""Runs the programs of *Use* of a version that passed, in the warm engine that decided; the verdict waits for none."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from dovetail.adapters.results.programs import HERE, Address, digest, lacking, programs
from dovetail.adapters.results.report import Report
from dovetail.adapters.results.usage import ProgramRun
from registry.models import Base
from registry.proof.verdicts import comparisons
from registry.proof.verdicts.comparisons import Comparing
from registry.repos import served_bases
from workers.engine.job import Job
from workers.engines import leases, warm_engines
from workers.validation import claim_details
from workers.validation.laying_out import lay_out

logger = logging.getLogger(__name__)

SECONDS = 60.0  # of processor time, for one program; most take less than one


def run(claim: Comparing) -> None:
    """Run the programs of a claim, and record what became of each.

    Raises ClaimStale, EngineFault, StoreUnavailable, ShelfProblem and OSError.
    """
    verdict, name = claim.verdict, claim.row.engine
    with (
        leases.kept(partial(comparisons.heartbeat, claim)),
        lay_out(verdict, f"{verdict.pk}-programs-{claim.row.attempt}") as laid_out,
    ):
        report = verdict.report
        job = _job(laid_out.job, report, laid_out.base, verdict.revision.repository.full_name, verdict.revision.oid)
        runs = _run(job, laid_out.base, name) if laid_out.base else ()
        comparisons.record_programs(claim, runs)
    for each in runs:
        if each.outcome == "failed":
            details = claim_details.of(verdict) | {"engine": name, "program": each.key}
            logger.error("A program of Use failed: %s", each.problem, extra=details)


def _run(job: Job, base: Base, engine: str) -> Sequence[ProgramRun]:
    if not job.programs:
        return ()
    if base.size > job.memory_bytes:
        problem = f"The base has {base.size / 1e9:.1f} GB, and a program may take {job.memory_bytes / 1e9:.1f} GB here."
        return [ProgramRun(one["key"], one["sha256"], "not-run", problem=problem) for one in job.programs]
    return [replace(one, engine=engine) for one in warm_engines.engine_for(base, engine).run_programs(job)]


def _job(job: Job, report: Report, base: Base | None, name: str, revision: str) -> Job:
    usage = report.usage
    if usage is None or base is None:
        return job
    address = Address(name, revision, HERE, base.id, served_bases.oid_of(base))
    where = {"name": name, "revision": revision, "base": base.id, "base_revision": address.base_revision}
    texts = [
        {
            "key": key, "sha256": digest(usage, address, key), "code": code,
            "answer": usage.answer if key == "peft" else None, **where,
        }
        for key, code in programs(usage, address).items()
        if not lacking(usage, key)
    ]  # fmt: skip
    return replace(job, place=usage.place, programs=texts, seconds=SECONDS)
