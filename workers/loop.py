"""The loop of a worker process: validations in their order, short jobs among them, comparisons after both."""

import mmap
import time
from collections.abc import Iterable

from registry.kernel.seams import ShortJobs
from registry.proof.verdicts import comparisons, jobs, queue
from workers import idle_work
from workers.engines import capabilities, warm_engines
from workers.validation import pipeline

SLICE_SECONDS = 60  # the longest work for one message; then it is sent again, so that none is held for long
STAY = 10  # times an engine's start-up time: how long a process prefers its warm bases, and others wait at most
STAY_SECONDS_MOST = 120
COMPARE_EVERY = 20  # validations, if they never end
VALIDATIONS_A_SHORT_JOB = 4  # seconds for validations after each second for short jobs, while both wait

_stopping = mmap.mmap(-1, 1)  # shared with the children that are forked later


class WorkLoop:
    """The state of one process: how long it may prefer its warm bases, and how many validations it has done.

    `short` are the short jobs of features; `short_from` is when it may do one again although validations wait: they
    get a fifth of its time at most.
    """

    def __init__(self, short: Iterable[ShortJobs] = ()) -> None:
        self.short = tuple(short)
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
        """Do a comparison for which an engine is ready; without one, start an engine and wait for nothing."""
        self.since_comparing = 0
        able = capabilities.current()
        claim = comparisons.claim(able, warm_engines.ENGINES.ready)
        if claim is not None:
            idle_work.compare(claim)
        elif (cold := comparisons.coldest(able, warm_engines.ENGINES.failed)) is not None:
            warm_engines.warm(*cold)
        return claim is not None


LOOP = WorkLoop()


def stop() -> None:
    """Make every process of this worker end after its current job."""
    _stopping[0] = 1
