"""Listeners that get each check as it ends: one shows them on the page of a running verdict, the others pass on."""

import time
from collections.abc import Callable

from dovetail.adapters.results.report import CheckResult
from registry.proof import verdicts
from registry.proof.verdicts import Claim
from workers.validation import several_adapters

SECONDS = 0.25  # between two writes

Listener = Callable[[CheckResult], None]


class Progress:
    """Shows the checks that ended, a few times a second at most: they come in bursts and each write costs time."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._checks: list[CheckResult] = []
        self._shown_at = time.monotonic()

    def __call__(self, check: CheckResult) -> None:
        self._checks.append(check)
        if time.monotonic() - self._shown_at >= SECONDS:
            verdicts.progress(self._claim, self._checks)
            self._shown_at = time.monotonic()


def placed(listener: Listener, place: str) -> Listener:
    """Return a listener that passes each check on with the folder of the adapter."""
    return lambda check: listener(several_adapters.placed(check, place))


def ignore(check: CheckResult) -> None:
    """Do nothing: nobody watches this run."""
