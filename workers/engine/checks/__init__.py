"""The functions of the checks that need the base in memory; their list is `dovetail.adapters.checks`.

The check `area.some-problem` is the function `some_problem` of the module of its area.
"""

from dovetail.adapters.checks import CHECKS as ALL
from dovetail.adapters.results.findings import Check
from workers.engine.checks import evaluation, run
from workers.engine.trials.trial import Trial

AREAS = {"load": run, "run": run, "eval": evaluation}

CHECKS: tuple[Check[Trial], ...] = tuple(
    Check(entry.id, getattr(AREAS[entry.area], entry.id.partition(".")[2].replace("-", "_")), entry.needs)
    for entry in ALL
    if entry.stage == "engine"
)
