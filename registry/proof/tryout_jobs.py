"""The jobs of tries: claimed by a worker with a lease, done or given back, and swept.

The row is the job, as of comparisons. A try that waits too long expires, since its visitor is gone.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from dovetail.adapters.results.tryout import Answer
from registry.kernel.errors import ClaimStale
from registry.kernel.policy import Caller
from registry.models import Tryout
from registry.proof.tryouts import forgotten, waiting
from registry.proof.verdicts.comparisons import Pair
from registry.proof.verdicts.queue import Capabilities
from registry.proof.verdicts.rows import lease
from registry.repos import pull

State = Tryout.State
ATTEMPTS = 2
PAUSE = timedelta(seconds=10)  # after a fault of the hub
COLD = timedelta(seconds=30)  # after which an engine is started for a try though validations wait
PATIENCE = timedelta(minutes=5)  # after which a waiting try expires
MAX_REASON = 500
BROKEN = "This hub failed at it, {} times. Its operators find the fault in the logs of the workers."
NOBODY_CAME = "No worker had time for it within 5 minutes. Ask again when the hub is less busy."


@dataclass(frozen=True)
class Trying:
    """The right to answer a try, until the lease ends."""

    row: Tryout
    fence: str


def free(able: Capabilities) -> QuerySet[Tryout]:
    """Return the tries that a worker can do now, the oldest first."""
    mine = waiting().filter(route__in=able.bases, engine__in=able.engines)
    return mine.filter(free_at__lte=Now(), attempt__lt=ATTEMPTS).order_by("pk")


def claim(able: Capabilities, warm: Collection[Pair], *, cold: bool) -> Trying | None:
    """Claim the oldest try; without `cold` only one whose engine is warm, or that has waited for `COLD`."""
    rows = free(able)
    late = set() if cold else set(rows.filter(asked_at__lte=Now() - COLD).values_list("pk", flat=True))
    for number, engine, route in list(rows.values_list("pk", "engine", "route")):
        if not cold and number not in late and (engine, route) not in warm:
            continue
        fence = secrets.token_hex(16)
        columns = {"state": State.RUNNING, "fence": fence, "free_at": lease(), "started_at": Now()}
        if free(able).filter(pk=number).update(**columns, attempt=F("attempt") + 1):
            related = Tryout.objects.select_related("revision__repository__namespace__person", "by")
            return Trying(related.get(pk=number), fence)
    return None


def require_allowed(claim: Trying) -> None:
    """Raise what reading the files of the revision raises: a right may have ended while the try waited."""
    pull.require_files(claim.row.revision, Caller(claim.row.by))


def heartbeat(claim: Trying) -> None:
    """Prolong the lease. Raises ClaimStale."""
    if not _held(claim).update(free_at=lease()):
        raise ClaimStale("A try belongs to another worker now.")


def record(claim: Trying, answer: Answer) -> None:
    """Write the answer, unless the claim is lost."""
    _held(claim).update(state=State.DONE, answer=answer.as_json(), reason="", finished_at=Now())


def refuse(claim: Trying, reason: str) -> None:
    """End a try that cannot be answered."""
    _held(claim).update(state=State.FAILED, reason=reason[:MAX_REASON], finished_at=Now())


def give_back(claim: Trying, *, counted: bool = True) -> None:
    """Have a try that the hub failed at done again in a moment, and end it after the last attempt.

    Without `counted` the attempt is none, since the machine was only too busy.
    """
    if counted and claim.row.attempt >= ATTEMPTS:
        refuse(claim, BROKEN.format(ATTEMPTS))
        return
    attempt = F("attempt") if counted else F("attempt") - 1
    _held(claim).update(state=State.QUEUED, free_at=Now() + PAUSE, attempt=attempt, fence="")


def sweep() -> None:
    """Delete what is an hour old, and end what nobody came to and what took its workers down."""
    Tryout.objects.filter(forgotten()).delete()
    open_rows = waiting().filter(free_at__lte=Now())
    lost = open_rows.filter(attempt__gte=ATTEMPTS)
    lost.update(state=State.FAILED, reason=BROKEN.format(ATTEMPTS), finished_at=Now())
    late = open_rows.filter(asked_at__lte=Now() - PATIENCE)
    late.update(state=State.EXPIRED, reason=NOBODY_CAME, finished_at=Now())


def _held(claim: Trying) -> QuerySet[Tryout]:
    return waiting().filter(pk=claim.row.pk, fence=claim.fence)
