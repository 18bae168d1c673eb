"""What a worker process does next: validations in their turn, comparisons behind them, and staying where it is warm."""

import mmap
import time

from registry.proof import verdicts
from registry.proof.verdicts import comparisons
from workers import bench, hands

SLICE_SECONDS = 60  # a nudge is worth this much work; then it rings again, so that no message is held for long
STAY = 10  # times what a start took: an engine that was started shall earn it, and others wait no longer than that
STAY_SECONDS_MOST = 120
COMPARE_EVERY = 20  # validations, where they never end

_stopping = mmap.mmap(-1, 1)  # shared with the children that are forked later


class Shift:
    """The memory of one process: how long it may stay with its bases, and what it has done."""

    def __init__(self) -> None:
        self.stays_until = 0.0
        self.since_comparing = 0

    def work(self) -> bool:
        """Do what waits until nothing does, or the slice is over; return whether there may be more."""
        ends = time.monotonic() + SLICE_SECONDS
        while not hands.unfit() and not _stopping[0] and self.step():
            if time.monotonic() > ends:
                return True
        return False

    def step(self) -> bool:
        """Do one thing; return whether there was one."""
        if self.since_comparing >= COMPARE_EVERY and self._compare():
            return True
        return self._validate() or self._compare()

    def _validate(self) -> bool:
        warm = [route for _, route in bench.ENGINES.labels]
        stay = time.monotonic() < self.stays_until
        claim = verdicts.claim_next(hands.name(), hands.hands(), warm=dict.fromkeys(warm), stay=stay)
        if claim is None:
            return False
        self.since_comparing += 1
        bench.validate(claim)
        if claim.verdict.route not in warm:
            start = bench.ENGINES.start_seconds()
            self.stays_until = time.monotonic() + min(STAY * start, STAY_SECONDS_MOST)
        return True

    def _compare(self) -> bool:
        """Do a comparison for which an engine is ready. None waits for a start: a push may come meanwhile."""
        self.since_comparing = 0
        able = hands.hands()
        claim = comparisons.claim(able, bench.ENGINES.ready)
        if claim is not None:
            bench.compare(claim)
        elif (cold := comparisons.coldest(able)) is not None:
            bench.warm(*cold)
        return claim is not None


SHIFT = Shift()


def stop() -> None:
    """Have every process of this worker end after what it does now."""
    _stopping[0] = 1
