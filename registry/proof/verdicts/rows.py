"""Verdicts as rows: the lock that comes first, the write that only the holder of a claim may do, what adapters show."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from dovetail.adapters.report import Report
from registry.kernel.errors import ClaimStale
from registry.models import Attempt, Ref, Repository, Revision, Verdict
from registry.repos.refs import MAIN, VERIFIED

MAX_REASON = 500  # characters that the columns hold
State = Verdict.State


@dataclass(frozen=True)
class Claim:
    """The right of a worker to work on a verdict, until the lease ends."""

    verdict: Verdict
    fence: str
    attempt: Attempt


QUEUED_AGAIN: dict[str, Any] = {"state": State.QUEUED, "fence": "", "lease_until": None, "result": {}}


@contextmanager
def one_at_a_time(verdict: Verdict) -> Iterator[None]:
    """Open a transaction that locks the repository before any other row.

    Two concurrent verdicts would each compute `verified` without the other, and transactions that lock in different
    orders would deadlock.
    """
    with transaction.atomic():
        Repository.objects.select_for_update().filter(pk=verdict.revision.repository_id).values_list("pk").first()
        yield


def final(state: str) -> dict[str, Any]:
    return {
        "state": state, "reason": "", "fence": "", "lease_until": None, "turn": None, "held_at": None,
        "finished_at": Now(),
    }  # fmt: skip


def lease() -> Any:
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


def write(claim: Claim, **values: Any) -> None:
    claimed = Verdict.objects.filter(pk=claim.verdict.pk, state=State.RUNNING, fence=claim.fence)
    if not claimed.update(**values):
        raise ClaimStale(f"The claim on verdict {claim.verdict.pk} has ended; somebody else decides it.")


def end_attempt(attempt: Attempt, outcome: str) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(ended_at=Now(), outcome=outcome[:200])


def show(verdict: Verdict) -> None:
    """Copy the state to the repository if this is the newest verdict of main's revision."""
    newest = Verdict.objects.filter(revision=verdict.revision_id).order_by("-number").first()
    if newest is not None:
        head = Q(refs__name=MAIN, refs__revision=verdict.revision_id)
        columns = {"state": newest.state}
        if newest.is_final or newest.number == 1:  # a repeated validation keeps the last known answer
            columns["serves"] = served_by(newest.report)
        Repository.objects.filter(head).update(**columns)


def served_by(report: Report) -> str:
    """Return the engines that serve an adapter, as the column `serves` holds them."""
    engines = [answer.engine for answer in report.serving if answer.outcome == "serves"]
    return "\n" + "".join(f"{name}\n" for name in engines) if engines else ""


def move_verified(repository: int) -> None:
    """Point `verified` at the newest revision in the history of main whose last finished verdict is passed.

    A verdict of static depth may pass, because no engine runs the format; the revision is not verified then.
    """
    finished = Verdict.objects.filter(revision__repository=repository, finished_at__isnull=False).order_by("number")
    proven = {revision: state == State.PASSED and depth != "static"
              for revision, state, depth in finished.values_list("revision", "state", "result__depth")}  # fmt: skip
    parents = dict(Revision.objects.filter(repository=repository).values_list("pk", "parent"))
    at = Ref.objects.filter(repository=repository, name=MAIN).values_list("revision", flat=True).first()
    while at is not None and not proven.get(at):
        at = parents[at]
    if at is None:
        Ref.objects.filter(repository=repository, name=VERIFIED).delete()
    else:
        Ref.objects.update_or_create(repository_id=repository, name=VERIFIED, defaults={"revision_id": at})
