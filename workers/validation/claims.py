"""A claimed job while it runs: its files are laid out for an engine, its lease is kept, its checks are shown, and its
log lines have the same fields.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from dovetail.adapters.results.report import CheckResult
from registry.kernel.errors import ClaimStale
from registry.models import Verdict
from registry.proof import dossiers
from registry.proof.dossiers import Dossier
from registry.proof.verdicts import jobs
from registry.proof.verdicts.comparisons import Comparing
from registry.proof.verdicts.queue import Claim
from registry.repos import bases
from workers import base_measurements
from workers.engine import work_folders
from workers.engine.job import Job, wall_for

logger = logging.getLogger(__name__)
SHOWN_SECONDS = 2  # between two writes of the checks that ended

Listener = Callable[[CheckResult], None]


@contextmanager
def lay_out(claim: Claim | Comparing, name: str) -> Iterator[tuple[Dossier, Sequence[Job]]]:
    """Lend a folder with the files of a claimed revision: its dossier, and a job for each adapter that it is about.

    Raises ShelfProblem and StoreUnavailable.
    """
    if claim.base is not None and not claim.base.has_weights:
        base_measurements.measure_named_shapes([claim.base.id])
    with work_folders.folder("job") as folder:
        dossier = dossiers.gather(claim, folder)
        yield dossier, [_job(name, folder, dossier, place) for place in dossier.places]


def _job(name: str, folder: Path, dossier: Dossier, place: str) -> Job:
    base, adapter = dossier.claim.base, dossier.claim.adapter
    return Job(
        id=name,
        folder=folder,
        place=place,
        seconds=settings.ENGINE_SECONDS,
        idle_seconds=settings.ENGINE_HANG_SECONDS,
        wall_seconds=wall_for(settings.ENGINE_SECONDS),
        memory_bytes=settings.ENGINE_MEMORY,
        base_revision=base.revision if base else None,
        base_names=dossier.base_names,
        base_license=bases.license_of(base),
        adapter_base=adapter.base if adapter else None,
        card=dossier.card.data,
        rows_from=dossier.rows_from,
        known_bases=dossier.known_bases,
        shapes=dossier.shapes,
        earlier=dossier.earlier.get(place, ()),
    )


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
    """Shows the checks that ended, every other second at most: each write is a new copy of all of them."""

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
