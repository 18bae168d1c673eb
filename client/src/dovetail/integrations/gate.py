"""Decides what follows from the verdict of a push: nothing, a warning, or an exception that ends the job."""

import logging
from typing import Literal

from dovetail.api.client import Pushed
from dovetail.base.problems import Problem
from dovetail.base.verdicts import UNFINISHED

OnFailure = Literal["ignore", "warn", "stop"]
ON_FAILURE = ("ignore", "warn", "stop")

logger = logging.getLogger("dovetail")


def check_choice(on_failure: str) -> None:
    """Raise ValueError for a word that is no choice, before anything was trained."""
    if on_failure not in ON_FAILURE:
        raise ValueError(f"on_failure is {on_failure!r}; use {', '.join(map(repr, ON_FAILURE))}.")


def require_pass(pushed: Pushed, on_failure: OnFailure = "stop") -> None:
    """Warn of a version that did not pass, or has no verdict yet; with "stop" raise Problem."""
    verdict = pushed.verdict
    if verdict is None or verdict.passed or on_failure == "ignore":
        return
    checks = "; ".join(f"{check.id}: {check.message} {check.fix}".strip() for check in verdict.failed_checks)
    name = f"{pushed.adapter}@{pushed.revision[:12]}"
    if verdict.state in UNFINISHED:
        problem = Problem(
            f"{name} has no verdict yet: it is {verdict.state}.",
            verdict.reason or "Wait longer, or look at its page later.",
            code="client-verdict-pending",
        )
    else:
        problem = Problem(f"{name} {verdict.state}. {checks}".strip(), pushed.url, code="client-verdict-no")
    if on_failure == "stop":
        raise problem
    logger.warning("%s %s", problem.detail, problem.fix)
