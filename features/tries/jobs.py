"""Answers a visitor's text with a base and an adapter, in the jail of the warm engine that passed the adapter.

Logs name the try by its number; a text, an answer, or a fault that might quote one is in none of them.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from celery import shared_task
from django.conf import settings

from dovetail.adapters.results.report import CRASHED
from dovetail.adapters.results.usage import Answer
from features.tries import verbs
from features.tries.verbs import Trying, waiting
from registry.kernel.errors import ClaimStale, RegistryError, ShelfProblem, StoreUnavailable
from registry.kernel.seams import Jobs, ShortJobs
from registry.models import Base
from registry.repos import bases, pull
from registry.repos.contents.card import read_card
from workers.engine import work_folders
from workers.engine.job import Job, wall_for
from workers.engines import capabilities, warm_engines
from workers.engines.sandbox import EngineFault, EngineSlow
from workers.loop import LOOP
from workers.validation import claims

logger = logging.getLogger(__name__)

SECONDS = 20.0  # of processor time, for one try
# Sentences for people in place of a check's message: those are about validations.
REASONS = {
    "limits.time": (
        f"It needed more than {SECONDS:g} s of processor time, the limit of a try. Ask for fewer tokens, "
        "or send a shorter text."
    ),
    "limits.memory": "It needs more memory than a try may take. Pull the adapter, and run it yourself.",
    CRASHED: "Running it was interrupted: this is a fault of the hub, not of your text.",
}


@shared_task(bind=True, name="workers.tasks.try_out")
def try_out(self: Any, tryout: int = 0) -> None:
    """Do the jobs that wait for this worker, of which one is a try; its id is only a hint for the broker's log."""
    if LOOP.work():
        self.apply_async(args=(tryout,))


def _waits() -> bool:
    return waiting().exists() and verbs.free(capabilities.current()).exists()


def _do(cold: bool) -> bool:
    claim = verbs.claim(capabilities.current(), warm_engines.ENGINES.ready, cold=cold)
    if claim is not None:
        answer(claim)
    return claim is not None


JOBS = Jobs(short=(ShortJobs(_waits, _do),))


def answer(claim: Trying) -> None:
    """Answer a claimed try, or give it back; after a defect of this code it waits for the end of its lease."""
    details = {"tryout": claim.row.pk, "base": claim.row.route, "engine": claim.row.engine}
    try:
        with claims.kept_alive(partial(verbs.heartbeat, claim)):
            verbs.require_allowed(claim)
            _answer(claim)
    except ClaimStale:
        logger.warning("A try was lost while it was answered", extra=details)
    except EngineSlow:  # it goes on starting meanwhile
        verbs.give_back(claim, counted=False)
    except (EngineFault, StoreUnavailable, ShelfProblem, OSError) as problem:
        logger.warning("A try was not answered: %s", type(problem).__name__, extra=details)
        verbs.give_back(claim)
    except RegistryError as refusal:
        verbs.refuse(claim, f"{refusal.detail} {refusal.fix}".strip())


def _answer(claim: Trying) -> None:
    row = claim.row
    base = bases.find_base(row.route)
    if base is None or not base.has_weights:
        raise ShelfProblem(f"{row.route} is no longer in the base cache.")
    with _laid_out(claim, base) as job, warm_engines.engine_for(base, row.engine).asked(job, "answered") as message:
        document = message.get("answer")
        found = Answer.parse(document) if document is not None else None
    if found is not None:
        verbs.record(claim, found)
    else:
        verbs.refuse(claim, REASONS.get(str(message.get("check")), str(message.get("reason"))))


@contextmanager
def _laid_out(claim: Trying, base: Base) -> Iterator[Job]:
    row = claim.row
    with work_folders.folder("try") as folder:
        pull.copy_files(row.revision, folder)
        yield _job(claim, base, folder)


def _job(claim: Trying, base: Base, folder: Path) -> Job:
    row = claim.row
    return Job(
        id=f"try-{row.pk}-{row.attempt}",
        folder=folder,
        seconds=SECONDS,
        idle_seconds=settings.ENGINE_HANG_SECONDS,
        wall_seconds=wall_for(SECONDS),
        memory_bytes=settings.ENGINE_MEMORY,
        base_revision=base.revision,
        card=read_card(folder).data,
        place=row.place,
        module="features.tries.engine",
        more={"texts": [row.text, *([row.other] if row.other.strip() else [])], "new_tokens": row.new_tokens},
    )
