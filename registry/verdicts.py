"""What may be done with verdicts: ask for one, claim it, hand in the result; how an adapter is proven is not here.

The row is the job. Every change of state is one conditional UPDATE whose count is looked at, leases run on the
database's clock, and a claim is a token: messages may be lost, doubled or late, and workers may die or come back.
"""

import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Lower, Now
from django.utils.module_loading import import_string

from registry import audit, names
from registry.errors import ClaimStale, NameInvalid, VerdictNotApplicable
from registry.models import Adapter, Attempt, Base, Ref, Revision, User, Verdict, WorkerHeartbeat
from registry.refs import MAIN, VERIFIED

logger = logging.getLogger(__name__)

LIMITS = {"limits.time", "limits.memory"}  # may be the machine's fault: tried twice
CRASHED = "engine.check-crashed"
NUDGE_AGAIN = timedelta(seconds=60)
MAX_REASON = 500  # what the columns hold
NUDGES_A_SWEEP = 50  # each message is a hint for one row; the rest of a long queue has its own
BASE_PATIENCE = timedelta(days=30)
State = Verdict.State
Report = dict[str, Any]  # the keys of `result`: kind, format, base, depth, engine, checks, evals


@dataclass(frozen=True)
class Claim:
    """The right to work on a verdict, until its lease ends or somebody else holds it."""

    verdict: Verdict
    fence: str
    attempt: Attempt


# --- asking ----------------------------------------------------------------------------------------------------------
def request(revision: Revision, base: str, *, again: bool = False) -> Verdict:
    """Queue a validation of the revision on the base that it names, and ring for a worker after the commit.

    Returns the verdict that is there already if it is unfinished, or finished and `again` is false. Call it in the
    transaction that makes the revision.
    """
    newest = latest(revision)
    if newest is not None and not (newest.is_final and again):
        _show(newest)
        return newest
    try:
        with transaction.atomic():
            verdict = Verdict.objects.create(
                revision=revision, number=newest.number + 1 if newest else 1, base=base, reason=_why_wait(base)
            )
    except IntegrityError:  # somebody else asked at the same moment
        return Verdict.objects.get(revision=revision, number=newest.number + 1 if newest else 1)
    _show(verdict)
    transaction.on_commit(lambda: ring(verdict.pk), robust=True)  # a broker that is down never fails a push
    return verdict


def adopt(revision: Revision, like: Revision) -> Verdict | None:
    """Give a revision that holds exactly the files of `like` the verdict that was found there.

    Returns None where there is none to take over yet. Call it under the adapter's lock, and `refresh` afterwards.
    """
    found = latest(like)
    if found is None or found.state not in {State.PASSED, State.FAILED} or latest(revision) is not None:
        return None
    kept = ("state", "reason", "base", "attempt", "queued_at", "started_at", "finished_at", "duration_ms", "result")
    return Verdict.objects.create(revision=revision, number=1, **{name: getattr(found, name) for name in kept})


def refresh(adapter: Adapter) -> None:
    """Let the adapter's state and `verified` follow refs that moved; call it under the adapter's lock."""
    at = Verdict.objects.filter(revision__refs__adapter=adapter, revision__refs__name=MAIN).order_by("-number").first()
    Adapter.objects.filter(pk=adapter.pk).update(
        state=at.state if at else "", serves=served_by(at.result) if at else ""
    )
    _move_verified(adapter.pk)


def again(revision: Revision, by: User | None) -> tuple[Verdict, bool]:
    """Queue one more validation and log who wanted it; return the verdict that is due, and whether it is a new one.

    `by=None` is the operator at the command line; anybody else must have been allowed already. Raises
    VerdictNotApplicable.
    """
    with transaction.atomic():
        before = current(revision)
        verdict = request(revision, before.base, again=True)
        is_new = verdict != before
        if is_new:
            audit.record(by, "verdict:request", f"{revision.adapter.full_name}@{revision.oid}")
    return verdict, is_new


def current(revision: Revision) -> Verdict:
    """Return the verdict that counts for this revision. Raises VerdictNotApplicable where nothing is an adapter."""
    verdict = latest(revision)
    if verdict is None:
        raise VerdictNotApplicable(f"Nothing in {revision.adapter.full_name} at {revision.oid} is an adapter.")
    return verdict


def latest(revision: Revision) -> Verdict | None:
    """Return the verdict that counts for this revision; None where nothing was ever asked for."""
    return revision.verdicts.order_by("-number").first()


def ring(verdict: int) -> None:
    """Tell the workers that this row may be claimed. A lost message costs a minute, until the sweep rings again."""
    doorbell: Callable[[int], bool] = import_string(settings.DOORBELL)
    if doorbell(verdict):
        Verdict.objects.filter(pk=verdict, state=State.QUEUED).update(nudged_at=Now())


def base_for(name: str) -> Base | None:
    """Return the base on the shelf that an adapter means by `name`, whatever the case; None when it is not there."""
    return Base.objects.filter(id__iexact=name).first()


def is_base_id(name: str) -> bool:
    """Whether an adapter's base looks like a model id, and not like nothing or a path on its author's disk."""
    parts = name.split("/")
    try:
        return len(parts) <= 2 and all(names.check_name(part) for part in parts)
    except NameInvalid:
        return False


def _why_wait(base: str) -> str:
    """Return the reason a verdict waits, "" when it need not: without a base id the static checks give the answer."""
    if not is_base_id(base) or base_for(base):
        return ""
    reason = (
        f"Waiting for the base model {base}, which is not on this hub's shelf. {_meant(base)}"
        f"An administrator adds it with `manage.py shelf add {base} --from-hub` (or --path DIR)."
    )
    return reason[:MAX_REASON]


def _meant(base: str) -> str:
    """Ask whether a base on the shelf was meant that has the same name in another namespace; "" where none has."""
    name = base.rpartition("/")[2]
    near = Base.objects.filter(Q(id__iendswith=f"/{name}") | Q(id__iexact=name)).order_by("id").first()
    return f"Did the adapter's author mean {near.id}? " if near else ""


# --- working ---------------------------------------------------------------------------------------------------------
def claim(verdict_id: int, worker: str) -> Claim | None:
    """Take the job if it is there to be taken; None when it is done, taken, or waits for its base."""
    verdict = Verdict.objects.select_related("revision").filter(pk=verdict_id, state=State.QUEUED).first()
    if verdict is None:
        return None
    if reason := _why_wait(verdict.base):
        Verdict.objects.filter(pk=verdict_id, state=State.QUEUED).update(reason=reason)
        return None
    fence = secrets.token_hex(16)
    with _one_at_a_time(verdict):
        free = Verdict.objects.filter(pk=verdict_id, state=State.QUEUED, attempt__lt=settings.MAX_ATTEMPTS)
        taken = free.update(
            state=State.RUNNING,
            reason="",
            fence=fence,
            lease_until=_lease(),
            attempt=F("attempt") + 1,
            started_at=Now(),
        )
        if not taken:
            return None
        verdict = Verdict.objects.select_related("revision__adapter__namespace").get(pk=verdict_id)
        attempt = Attempt.objects.create(verdict=verdict, number=verdict.attempts.count() + 1, worker=worker)
        _show(verdict)
    return Claim(verdict, fence, attempt)


def wait(verdict_id: int, reason: str) -> bool:
    """Say why a queued verdict cannot be worked on here, until a sweep tries again; False when it is not queued."""
    return bool(Verdict.objects.filter(pk=verdict_id, state=State.QUEUED).update(reason=reason[:MAX_REASON]))


def add_engine(verdict: Verdict, row: Report) -> None:
    """Add what one more engine says to a verdict that is decided already, in place of what it said before."""
    with transaction.atomic():
        held = Verdict.objects.select_for_update().get(pk=verdict.pk)
        others = [item for item in held.result.get("engines", []) if item["name"] != row["name"]]
        held.result["engines"] = [*others, row]
        held.save(update_fields=["result"])


def heartbeat(claim: Claim) -> None:
    """Prolong the lease. Raises ClaimStale when the claim is somebody else's by now."""
    _write(claim, lease_until=_lease())


def progress(claim: Claim, checks: Sequence[Report]) -> None:
    """Show the checks that ended so far, and prolong the lease. Raises ClaimStale."""
    _write(claim, lease_until=_lease(), result={"checks": list(checks)})


def record(claim: Claim, report: Report, duration_ms: int) -> None:
    """Hand in what the engine found, in one transaction: state, checks, and the ref `verified` if it moves.

    `report["state"]` is passed, failed or errored. An error of ours is tried again up to MAX_ATTEMPTS, a limit once.
    Raises ClaimStale, and then nothing was written.
    """
    if reason := _worth_another_try(claim.verdict, report):
        give_back(claim, reason)
        return
    result = {key: value for key, value in report.items() if key != "state"}
    with _one_at_a_time(claim.verdict):
        _write(claim, **_final(report["state"]), result=result, duration_ms=duration_ms)
        _end_attempt(claim.attempt, report["state"])
        _show(claim.verdict)
        _move_verified(claim.verdict.revision.adapter_id)


def give_back(claim: Claim, reason: str, *, counted: bool = True) -> None:
    """End an attempt that gave no verdict: back into the queue, or errored after the last attempt. Raises ClaimStale.

    `counted=False` is for a part of the hub that is down: nobody's failure, and tried again after a minute.
    """
    with _one_at_a_time(claim.verdict):
        _end_attempt(claim.attempt, reason)
        if counted and claim.verdict.attempt >= settings.MAX_ATTEMPTS:
            _write(claim, **_final(State.ERRORED), result=_with_crash(claim.verdict, reason))
        elif counted:
            _write(claim, **_QUEUED_AGAIN, nudged_at=None)
            transaction.on_commit(lambda: ring(claim.verdict.pk), robust=True)
        else:
            _write(claim, **_QUEUED_AGAIN, nudged_at=Now(), attempt=F("attempt") - 1)
        _show(claim.verdict)


def sign_of_life(worker: str, problem: str = "") -> None:
    """Write down that this worker lives, and why it takes no jobs if it does not."""
    problem = problem[:MAX_REASON]
    if not WorkerHeartbeat.objects.filter(worker=worker).update(beat_at=Now(), problem=problem):
        WorkerHeartbeat.objects.create(worker=worker, beat_at=Now(), problem=problem)


def sign_off(worker: str) -> None:
    """Forget a worker that has ended: nobody is to think that it lives."""
    WorkerHeartbeat.objects.filter(worker=worker).delete()


# --- putting right what went wrong -----------------------------------------------------------------------------------
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
    with _one_at_a_time(verdict):
        changed = Verdict.objects.filter(pk=verdict.pk, state=State.QUEUED).update(
            **_final(State.FAILED), result={"checks": [check]}
        )
        _show(verdict)
    return bool(changed)


# --- rows ------------------------------------------------------------------------------------------------------------
_QUEUED_AGAIN: dict[str, Any] = {"state": State.QUEUED, "fence": "", "lease_until": None, "result": {}}


@contextmanager
def _one_at_a_time(verdict: Verdict) -> Iterator[None]:
    """Open a transaction that holds the adapter before any other row: two verdicts of it would each compute `verified`
    without the other, and two transactions that lock in different orders wait for each other for ever."""
    with transaction.atomic():
        Adapter.objects.select_for_update().filter(pk=verdict.revision.adapter_id).values_list("pk").first()
        yield


def _final(state: str) -> dict[str, Any]:
    return {"state": state, "reason": "", "fence": "", "lease_until": None, "finished_at": Now()}


def _lease() -> Any:
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


def _write(claim: Claim, **values: Any) -> None:
    held = Verdict.objects.filter(pk=claim.verdict.pk, state=State.RUNNING, fence=claim.fence)
    if not held.update(**values):
        raise ClaimStale(f"The claim on verdict {claim.verdict.pk} has ended; somebody else decides it.")


def _end_attempt(attempt: Attempt, outcome: str) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(ended_at=Now(), outcome=outcome[:200])


def _worth_another_try(verdict: Verdict, report: Report) -> str:
    """Return why this result is not believed yet, "" when it is final."""
    failed = {check["id"]: check for check in report["checks"] if check["outcome"] == "failed"}
    if report["state"] == State.ERRORED and verdict.attempt < settings.MAX_ATTEMPTS:
        return f"errored: {failed.get(CRASHED, {}).get('message', 'a check crashed')}"
    if failed and failed.keys() <= LIMITS and verdict.attempt == 1:
        return f"failed once: {', '.join(failed)}"
    return ""


def _with_crash(verdict: Verdict, reason: str) -> Report:
    check = {
        "id": CRASHED,
        "outcome": "failed",
        "message": f"Validation broke {verdict.attempt} times without a verdict; the last time: {reason}",
        "fix": "This is the hub's fault, not the adapter's: its operators see it in the worker's log.",
    }
    return {**verdict.result, "checks": [*verdict.result.get("checks", []), check]}


def _show(verdict: Verdict) -> None:
    """Copy the state onto the adapter if this is the newest verdict of what main points at."""
    newest = Verdict.objects.filter(revision=verdict.revision_id).order_by("-number").first()
    if newest is not None:
        head = Q(refs__name=MAIN, refs__revision=verdict.revision_id)
        shown = {"state": newest.state}
        if newest.is_final or newest.number == 1:  # while it is proven again, what was known goes on to be shown
            shown["serves"] = served_by(newest.result)
        Adapter.objects.filter(head).update(**shown)


def served_by(result: Report) -> str:
    """Return the engines that serve an adapter, as the column `serves` holds them."""
    engines = [item["engine"] for item in result.get("serving") or [] if item["outcome"] == "serves"]
    return "\n" + "".join(f"{name}\n" for name in engines) if engines else ""


def _move_verified(adapter: int) -> None:
    """Point `verified` at the newest revision in the history of main whose last finished verdict is passed."""
    finished = Verdict.objects.filter(revision__adapter=adapter, finished_at__isnull=False).order_by("number")
    states = dict(finished.values_list("revision", "state"))
    parents = dict(Revision.objects.filter(adapter=adapter).values_list("pk", "parent"))
    at = Ref.objects.filter(adapter=adapter, name=MAIN).values_list("revision", flat=True).first()
    while at is not None and states.get(at) != State.PASSED:
        at = parents[at]
    if at is None:
        Ref.objects.filter(adapter=adapter, name=VERIFIED).delete()
    else:
        Ref.objects.update_or_create(adapter_id=adapter, name=VERIFIED, defaults={"revision_id": at})
