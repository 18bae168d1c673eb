"""A claimed job while it runs: its lease is kept, its checks are shown, and its log lines have the same fields."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from dovetail.adapters.results.report import CheckResult
from registry.kernel.errors import ClaimStale
from registry.models import Verdict
from registry.proof.verdicts import jobs
from registry.proof.verdicts.queue import Claim

logger = logging.getLogger(__name__)
SHOWN_SECONDS = 0.25  # between two writes of the checks that ended

Listener = Callable[[CheckResult], None]


@contextmanager
def kept_alive(prolong: Callable[[], None]) -> Iterator[None]:
    """Call `prolong` from a thread, once each heartbeat, while the block runs."""
    ended = threading.Event()
    thread = threading.Thread(target=copy_context().run, args=(_keep, prolong, ended), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _keep(prolong: Callable[[], None], ended: threading.Event) -> None:
    while not ended.wait(settings.HEARTBEAT_SECONDS):
        try:
            prolong()
        except ClaimStale:  # the job runs to its end, and its result is refused there
            return
        except DatabaseError as problem:  # the lease outlives several heartbeats
            logger.warning("A lease was not prolonged: %s", problem)
        finally:
            connection.close()


def details_of(verdict: Verdict) -> dict[str, str | int | None]:
    """Return the verdict, its adapter, revision and base, and how many milliseconds it waited for its worker."""
    waited = verdict.started_at - verdict.queued_at if verdict.started_at else None
    return {
        "verdict": verdict.pk,
        "adapter": verdict.revision.repository.full_name,
        "revision": verdict.revision.oid,
        "base": verdict.base,
        "wait_ms": round(waited.total_seconds() * 1000) if waited is not None else None,
    }


class Progress:
    """Shows the checks that ended, a few times a second at most: they come in bursts and each write costs time."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._checks: list[CheckResult] = []
        self._shown_at = time.monotonic()

    def __call__(self, check: CheckResult) -> None:
        self._checks.append(check)
        if time.monotonic() - self._shown_at >= SHOWN_SECONDS:
            jobs.progress(self._claim, self._checks)
            self._shown_at = time.monotonic()


def ignore_check(check: CheckResult) -> None:
    """Do nothing: nobody watches this run."""
