"""Putting right what went wrong with verdicts: dead workers, lost messages, bases that came late or never."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Coalesce, Lower, Now

from registry import bases
from registry.errors import ClaimStale
from registry.models import Base, Revision, Verdict, WorkerHeartbeat
from registry.refs import MAIN
from registry.verdicts.asking import request, ring
from registry.verdicts.rows import Claim, State, final, one_at_a_time, show
from registry.verdicts.working import give_back

logger = logging.getLogger(__name__)

NUDGE_AGAIN = timedelta(seconds=60)
NUDGES_A_SWEEP = 50  # each message is a hint for one row; the rest of a long queue has its own
BASE_PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class Swept:
    """How many rows a sweep put right."""

    lost: int
    released: int
    nudged: int
    given_up: int


def sweep() -> Swept:
    """Put right what dead workers, lost messages and missing bases left behind; many sweeps may run at once."""
    lost = sum(map(_take_from_dead_worker, list(_expired())))
    released = _release_waiting(_waiting().filter(_on_shelf()))
    lost_hope = _waiting().filter(queued_at__lt=Now() - BASE_PATIENCE).exclude(_on_shelf())
    given_up = sum(map(_give_up_on_base, list(lost_hope)))
    unheard = Verdict.objects.alias(last=Coalesce("nudged_at", "queued_at")).filter(
        state=State.QUEUED, reason="", last__lt=Now() - NUDGE_AGAIN
    )
    due = list(unheard.order_by("queued_at").values_list("pk", flat=True)[:NUDGES_A_SWEEP])
    for verdict in due:
        ring(verdict)
    WorkerHeartbeat.objects.filter(beat_at__lt=Now() - timedelta(days=1)).delete()
    return Swept(lost, released, len(due), given_up)


def base_arrived(base: Base) -> int:
    """Let the verdicts go on that waited for this base; return how many.

    What was only fitted to it, while its weights were not here, is proven again.
    """
    bases.settle()  # other names of it are its own from now on
    if base.has_weights:
        heads = Revision.objects.filter(refs__name=MAIN, verdicts__base__iexact=base.id, verdicts__result__depth="fit")
        for revision in heads.distinct():
            request(revision, base.id, again=True)
    return _release_waiting(_waiting().filter(base__iexact=base.id))


def _expired() -> QuerySet[Verdict]:
    return Verdict.objects.select_related("revision").filter(state=State.RUNNING, lease_until__lt=Now())


def _waiting() -> QuerySet[Verdict]:
    return Verdict.objects.select_related("revision").filter(state=State.QUEUED).exclude(reason="")


def _on_shelf() -> Exists:
    return Exists(Base.objects.alias(key=Lower("id")).filter(key=Lower(OuterRef("base"))))


def _take_from_dead_worker(verdict: Verdict) -> bool:
    attempt = verdict.attempts.order_by("-number").first()
    assert attempt is not None, "a running verdict has an attempt"
    logger.warning("A worker was lost", extra={"verdict": verdict.pk, "worker": attempt.worker})
    reason = f"The worker {attempt.worker} was lost while it validated this (attempt {verdict.attempt})."
    try:
        give_back(Claim(verdict, verdict.fence, attempt), reason)
    except ClaimStale:  # the worker finished, or another sweep was faster
        return False
    return True


def _release_waiting(waiting: QuerySet[Verdict]) -> int:
    released = list(waiting.values_list("pk", flat=True))
    for verdict in released:
        Verdict.objects.filter(pk=verdict, state=State.QUEUED).update(reason="")
        ring(verdict)
    return len(released)


def _give_up_on_base(verdict: Verdict) -> bool:
    check = {
        "id": "base.unknown",
        "outcome": "failed",
        "message": f"The base model {verdict.base} was not on this hub's shelf for {BASE_PATIENCE.days} days.",
        "fix": f"Ask an administrator for `manage.py shelf add {verdict.base} --from-hub`, then validate again.",
    }
    with one_at_a_time(verdict):
        changed = Verdict.objects.filter(pk=verdict.pk, state=State.QUEUED).update(
            **final(State.FAILED), result={"checks": [check]}
        )
        show(verdict)
    return bool(changed)
