"""Verdicts as rows: the lock that comes first, the write that only the holder of a claim may do, what adapters show."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from registry.kernel.errors import ClaimStale
from registry.models import Attempt, Repository, Verdict
from registry.proof.verified.verified import served_by, unless_verified
from registry.repos.pull import LAST_SAID
from registry.repos.refs import MAIN
from registry.sql.prepared import Prepared
from registry.sql.prepared_writes import PreparedUpdate, Update

MAX_REASON = 500  # characters that the columns hold
State = Verdict.State


@dataclass(frozen=True)
class Claim:
    """The right of a worker to work on a verdict, until the lease ends."""

    verdict: Verdict
    fence: str
    attempt: Attempt


LOST = "lost"  # outcome of an attempt whose worker died
QUEUED_AGAIN: dict[str, object] = {"state": State.QUEUED, "fence": "", "lease_until": None, "result": {}}


@contextmanager
def one_at_a_time(verdict: Verdict) -> Iterator[None]:
    """Open a transaction that locks the repository before any other row.

    Two concurrent verdicts would each compute `verified` without the other, and transactions that lock in different
    orders would deadlock. A repository in the bin is locked too: its versions are judged to the end.
    """
    with transaction.atomic():
        _LOCK(verdict.revision.repository_id)
        yield


_LOCK = Prepared(
    lambda repository: Repository.with_binned.select_for_update(no_key=True).filter(pk=repository).values_list("pk"),
    int,
)


def final(state: str) -> dict[str, object]:
    return {
        "state": state,
        "reason": "",
        "fence": "",
        "lease_until": None,
        "turn": None,
        "held_at": None,
        "finished_at": Now(),
    }


def lease() -> Any:
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


def write(claim: Claim, **values: Any) -> None:
    claimed = Verdict.objects.filter(pk=claim.verdict.pk, state=State.RUNNING, fence=claim.fence)
    if not claimed.update(**values):
        raise _stale(claim)


def finish(claim: Claim, state: str, result: Mapping[str, Any], duration_ms: int) -> None:
    """Write the last state of a verdict, with its report. Raises ClaimStale as `write` does."""
    write(claim, **final(state), result=result, duration_ms=duration_ms)


def _stale(claim: Claim) -> ClaimStale:
    return ClaimStale(f"The claim on verdict {claim.verdict.pk} has ended; somebody else decides it.")


def end_attempt(attempt: Attempt, outcome: str) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(ended_at=Now(), outcome=outcome[:200])


def whole(verdict: int) -> Verdict:
    """Return the verdict with this row id, which is there, with its revision, repository and owner."""
    [row] = _WHOLE(verdict)
    return row


_WHOLE = Prepared(
    lambda verdict: Verdict.objects.select_related("revision__repository__namespace").filter(pk=verdict), int
)


def newest_of(revision: int) -> Verdict | None:
    """Return the newest verdict of the revision with this row id, or None."""
    return _NEWEST.first(revision)


_NEWEST = Prepared(lambda revision: Verdict.objects.filter(revision=revision).order_by("-number")[:1], int)


def in_force_of(revision: int) -> Verdict | None:
    """Return the verdict that counts for the revision with this row id: see LAST_SAID."""
    return _IN_FORCE.first(revision)


_IN_FORCE = Prepared(lambda revision: Verdict.objects.filter(revision=revision).order_by(*LAST_SAID)[:1], int)


def show(verdict: Verdict) -> None:
    """Copy the state to the repository if this is the newest verdict of main's revision.

    While a revision is proven again, and where that errored, lists still file its adapter under the last answer.
    """
    newest = newest_of(verdict.revision_id)
    if newest is None:
        return
    columns = {"state": newest.state}
    if newest.state in Verdict.DECIDED or newest.number == 1:
        columns |= {"outcome": newest.state, "serves": served_by(newest.report)}
    _SHOW_VERDICT(revision=verdict.revision_id, **columns)


def _shown(revision: int, **columns: Any) -> Update:
    for name in {"outcome", "serves"} & set(columns):
        columns[name] = unless_verified(name, columns[name])
    return Repository.objects.filter(refs__name=MAIN, refs__revision=revision), columns


_SHOW_VERDICT = PreparedUpdate(_shown)
