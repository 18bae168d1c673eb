"""The checks that need the base in memory, in order; those of the files alone are `dovetail.adapters.checks`."""

from __future__ import annotations

from dovetail.adapters.findings import Check
from workers.engine.checks import evaluation, load, run
from workers.engine.trial import Trial

RAN = ("load", "run.not-finite")

CHECKS: tuple[Check[Trial], ...] = (
    Check("load.error", load.error),
    Check("run.not-finite", run.not_finite, ("load",)),
    Check("run.no-effect", run.no_effect, RAN),
    Check("run.not-deterministic", run.not_deterministic, RAN),
    Check("run.cost", run.cost, RAN),
    Check("load.changed-base", load.changed_base, ("load.error",)),
    Check("eval.worse-than-base", evaluation.worse_than_base, RAN),
    Check("eval.claim", evaluation.claim, RAN),
    Check("eval.expected", evaluation.expected, RAN),
    Check("eval.neutral", evaluation.neutral, RAN),
    Check("eval.degenerate", evaluation.degenerate, RAN),
    Check("run.merge", run.merge, RAN),
)
