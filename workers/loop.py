"""The loop of a worker process: validations in their order, short jobs among them, comparisons after both.

No verdict waits for the comparisons, nor for the programs of *Use* beside them, which run in the warm engine that
decided, nor for what features do then.
"""

import logging
import mmap
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from dovetail.adapters.results.programs import HERE, Address, digest, lacking, programs
from dovetail.adapters.results.usage import ProgramRun
from registry.kernel import traces
from registry.kernel.errors import ClaimStale, ShelfProblem, StoreUnavailable
from registry.kernel.seams import ShortJobs
from registry.models import Base, Verdict
from registry.proof.verdicts import comparisons, jobs, queue
from registry.proof.verdicts.comparisons import Comparing
from registry.proof.verdicts.queue import Capabilities
from registry.repos import bases
from workers.engine.job import Job
from workers.engines import capabilities, warm_engines
from workers.engines.sandbox import EngineFault
from workers.validation import claims, pipeline, reports

logger = logging.getLogger(__name__)
Do = Callable[[Comparing, Sequence[Job]], None]  # raises ClaimStale, EngineFault and OSError
COMPARE_AGAIN_SECONDS = 60
PROGRAM_SECONDS = 60.0  # of processor time, for one program; most take less than one


def run_programs(claim: Comparing, job: Job) -> None:
    """Run the programs of a claim, and record what became of each. Raises ClaimStale, EngineFault and OSError."""
    verdict, name, base = claim.verdict, claim.row.engine, claim.base
    runs = _run_programs(_program_job(job, verdict, base), base, name) if base else ()
    comparisons.record_programs(claim, runs)
    for each in runs:
        if each.outcome == "failed":
            details = claims.details_of(verdict) | {"engine": name, "program": each.key}
            logger.error("A program of Use failed: %s", each.problem, extra=details)


def _run_programs(job: Job, base: Base, engine: str) -> Sequence[ProgramRun]:
    if not job.programs:
        return ()
    if base.size > job.memory_bytes:
        problem = f"The base has {base.size / 1e9:.1f} GB, and a program may take {job.memory_bytes / 1e9:.1f} GB here."
        return [ProgramRun(one["key"], one["sha256"], "not-run", problem=problem) for one in job.programs]
    return [replace(one, engine=engine) for one in warm_engines.engine_for(base, engine).run_programs(job)]


def _program_job(job: Job, verdict: Verdict, base: Base) -> Job:
    usage = verdict.report.usage
    if usage is None:
        return job
    name, revision = verdict.revision.repository.full_name, verdict.revision.oid
    address = Address(name, revision, HERE, base.id, bases.oid_of(base))
    where = {"name": name, "revision": revision, "base": base.id, "base_revision": address.base_revision}
    texts = [
        {
            "key": key,
            "sha256": digest(usage, address, key),
            "code": code,
            "answer": usage.answer if key == "peft" else None,
            **where,
        }
        for key, code in programs(usage, address).items()
        if not lacking(usage, key)
    ]
    return replace(job, place=usage.place, programs=texts, seconds=PROGRAM_SECONDS)


def compare_one(able: Capabilities, do: Do, warm: Callable[[str, str], None]) -> bool:
    """Do a comparison for which an engine is ready; without one, start an engine and wait for nothing.

    `do` does it and records its answer, and `warm` starts an engine with a base. Return whether there was one.
    """
    claim = comparisons.claim(able, warm_engines.ENGINES.ready)
    if claim is not None:
        with traces.working_for(claim.verdict.request_id):
            _compare(claim, do)
    elif (cold := comparisons.coldest(able, warm_engines.ENGINES.failed)) is not None:
        warm(*cold)
    return claim is not None


def _compare(claim: Comparing, do: Do) -> None:
    """Do a claimed comparison, or put it off."""
    details = claims.details_of(claim.verdict) | {"engine": claim.row.engine}
    name = f"{claim.verdict.pk}-{claim.row.engine}-{claim.row.attempt}"
    try:
        with claims.kept_alive(partial(comparisons.heartbeat, claim)), claims.lay_out(claim, name) as (_, jobs):
            do(claim, jobs)
    except ClaimStale:
        logger.warning("A comparison was lost while it was made", extra=details)
    except (EngineFault, StoreUnavailable, ShelfProblem, OSError) as problem:  # the verdict stands
        logger.warning("A verdict was not compared: %s", problem, extra=details)
        comparisons.pause(claim, COMPARE_AGAIN_SECONDS)


def _do(claim: Comparing, jobs: Sequence[Job]) -> None:
    run_programs(claim, jobs[0]) if claim.is_of_programs else _run(claim, jobs)


def _run(claim: Comparing, jobs: Sequence[Job]) -> None:
    """Run the adapters on the engine and record its row."""
    name = claim.row.engine
    engine = partial(warm_engines.engine_for, claim.base, name)
    rows = {job.place: [capabilities.engine_row(name, engine().run(job, on_check=claims.ignore_check))] for job in jobs}
    comparisons.record(claim, reports.worst_rows(rows)[0])


SLICE_SECONDS = 60  # the longest work for one message; then it is sent again, so that none is held for long
STAY = 10  # times an engine's start-up time: how long a process prefers its warm bases, and others wait at most
STAY_SECONDS_MOST = 120
COMPARE_EVERY = 20  # validations, if they never end
VALIDATIONS_A_SHORT_JOB = 4  # seconds for validations after each second for short jobs, while both wait

_stopping = mmap.mmap(-1, 1)  # shared with the children that are forked later


class WorkLoop:
    """The state of one process: how long it may prefer its warm bases, and how many validations it has done.

    `short` are the short jobs of features, and `later` what they do when no validation waits. `short_from` is when it
    may do a short job again although validations wait: they get a fifth of its time at most.
    """

    def __init__(self, short: Iterable[ShortJobs] = (), later: Iterable[Callable[[], bool]] = ()) -> None:
        self.short, self.later = tuple(short), tuple(later)
        self.stays_until = 0.0
        self.since_comparing = 0
        self.short_from = 0.0

    def work(self) -> bool:
        """Do all jobs that wait, until the time slice is over; return whether there may be more."""
        ends = time.monotonic() + SLICE_SECONDS
        while not capabilities.unfit() and not _stopping[0] and self.step():
            if time.monotonic() > ends:
                return True
        return False

    def step(self) -> bool:
        """Do one job; return whether there was one."""
        if any(map(self._short, self.short)):
            return True
        if self.since_comparing >= COMPARE_EVERY and self._compare():
            return True
        return self._validate() or self._compare()

    def _short(self, short: ShortJobs) -> bool:
        """Do a short job; while validations wait, only if it is the turn of these, and best with a warm engine."""
        if not short.waits():
            return False
        began, is_busy = time.monotonic(), queue.waits_for(capabilities.current())
        if (is_busy and began < self.short_from) or not short.do(not is_busy):
            return False
        ended = time.monotonic()
        self.short_from = ended + VALIDATIONS_A_SHORT_JOB * (ended - began)
        return True

    def _validate(self) -> bool:
        engines = warm_engines.ENGINES
        warm = [route for _, route in engines.labels]
        stay = time.monotonic() < self.stays_until
        claim = jobs.claim_next(capabilities.name(), capabilities.current(), warm=dict.fromkeys(warm), stay=stay)
        if claim is None:
            return False
        self.since_comparing += 1
        pipeline.validate(claim)
        if claim.verdict.route not in warm:
            self.stays_until = time.monotonic() + min(STAY * engines.start_seconds(), STAY_SECONDS_MOST)
        return True

    def _compare(self) -> bool:
        """Do a comparison, or what features have left for later."""
        self.since_comparing = 0
        able = replace(capabilities.current(), engines=tuple(capabilities.built()))
        return compare_one(able, _do, warm_engines.warm) or any(work() for work in self.later)


LOOP = WorkLoop()


def stop() -> None:
    """Make every process of this worker end after its current job."""
    _stopping[0] = 1
