"""Working on verdicts: take one, keep it, hand in what was found or give it back; signs of life of workers."""

import secrets
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from registry.models import Attempt, Verdict, WorkerHeartbeat
from registry.verdicts.asking import ring, why_wait
from registry.verdicts.rows import (
    MAX_REASON,
    QUEUED_AGAIN,
    Claim,
    Report,
    State,
    end_attempt,
    final,
    lease,
    move_verified,
    one_at_a_time,
    show,
    write,
)

LIMITS = {"limits.time", "limits.memory"}  # may be the machine's fault: tried twice
CRASHED = "engine.check-crashed"


def claim(verdict_id: int, worker: str) -> Claim | None:
    """Take the job if it is there to be taken; None when it is done, taken, or waits for its base."""
    verdict = Verdict.objects.select_related("revision").filter(pk=verdict_id, state=State.QUEUED).first()
    if verdict is None:
        return None
    if reason := why_wait(verdict.base):
        Verdict.objects.filter(pk=verdict_id, state=State.QUEUED).update(reason=reason)
        return None
    fence = secrets.token_hex(16)
    with one_at_a_time(verdict):
        free = Verdict.objects.filter(pk=verdict_id, state=State.QUEUED, attempt__lt=settings.MAX_ATTEMPTS)
        taken = free.update(
            state=State.RUNNING,
            reason="",
            fence=fence,
            lease_until=lease(),
            attempt=F("attempt") + 1,
            started_at=Now(),
        )
        if not taken:
            return None
        verdict = Verdict.objects.select_related("revision__adapter__namespace").get(pk=verdict_id)
        attempt = Attempt.objects.create(verdict=verdict, number=verdict.attempts.count() + 1, worker=worker)
        show(verdict)
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
    write(claim, lease_until=lease())


def progress(claim: Claim, checks: Sequence[Report]) -> None:
    """Show the checks that ended so far, and prolong the lease. Raises ClaimStale."""
    write(claim, lease_until=lease(), result={"checks": list(checks)})


def record(claim: Claim, report: Report, duration_ms: int) -> None:
    """Hand in what the engine found, in one transaction: state, checks, and the ref `verified` if it moves.

    `report["state"]` is passed, failed or errored. An error of ours is tried again up to MAX_ATTEMPTS, a limit once.
    Raises ClaimStale, and then nothing was written.
    """
    if reason := _worth_another_try(claim.verdict, report):
        give_back(claim, reason)
        return
    result = {key: value for key, value in report.items() if key != "state"}
    with one_at_a_time(claim.verdict):
        write(claim, **final(report["state"]), result=result, duration_ms=duration_ms)
        end_attempt(claim.attempt, report["state"])
        show(claim.verdict)
        move_verified(claim.verdict.revision.adapter_id)


def give_back(claim: Claim, reason: str, *, counted: bool = True) -> None:
    """End an attempt that gave no verdict: back into the queue, or errored after the last attempt. Raises ClaimStale.

    `counted=False` is for a part of the hub that is down: nobody's failure, and tried again after a minute.
    """
    with one_at_a_time(claim.verdict):
        end_attempt(claim.attempt, reason)
        if counted and claim.verdict.attempt >= settings.MAX_ATTEMPTS:
            write(claim, **final(State.ERRORED), result=_with_crash(claim.verdict, reason))
        elif counted:
            write(claim, **QUEUED_AGAIN, nudged_at=None)
            transaction.on_commit(lambda: ring(claim.verdict.pk), robust=True)
        else:
            write(claim, **QUEUED_AGAIN, nudged_at=Now(), attempt=F("attempt") - 1)
        show(claim.verdict)


def sign_of_life(worker: str, problem: str = "") -> None:
    """Write down that this worker lives, and why it takes no jobs if it does not."""
    problem = problem[:MAX_REASON]
    if not WorkerHeartbeat.objects.filter(worker=worker).update(beat_at=Now(), problem=problem):
        WorkerHeartbeat.objects.create(worker=worker, beat_at=Now(), problem=problem)


def sign_off(worker: str) -> None:
    """Forget a worker that has ended: nobody is to think that it lives."""
    WorkerHeartbeat.objects.filter(worker=worker).delete()


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
