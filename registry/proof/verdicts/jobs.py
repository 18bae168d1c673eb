"""Jobs of workers: claim a verdict, prolong its lease, record the report or give it back; heartbeats of workers.

A verdict's last state has consequences: how it compares with the one before, and the event in the outbox.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from dovetail.adapters.results.report import CRASHED, CheckResult, Report
from registry.kernel import outbox, seams
from registry.kernel.outbox import Kind
from registry.models import Attempt, Ref, Revision, Verdict, WorkerHeartbeat
from registry.proof import reports
from registry.proof.verdicts import comparisons, queue
from registry.proof.verdicts.queue import Claim, State, claimed, final, lease, write
from registry.proof.verdicts.requests import adapter_named, notify_again, place, why_wait
from registry.proof.verified import regressions
from registry.repos import bases, eligibility
from registry.repos.eligibility import ELIGIBLE, OVERRIDABLE
from registry.repos.refs import MAIN
from registry.sql import lock_first

LIMITS = {"limits.time", "limits.memory"}  # the machine may be to blame: tried twice
PAUSE = timedelta(seconds=60)  # for a store that is down or a disk that is full


def conclude(rows: QuerySet[Verdict], verdict: Verdict, report: Report, **columns: object) -> tuple[Revision, str, str]:
    """Give the verdict its last state and its report by one update, and record the event.

    With them goes what it was proven with, and whether the same bytes were judged otherwise before. Call it under the
    repository's lock. `rows` are those that may be written: the verdict, while the caller may still decide it. Return
    what `record_change` takes. Raises ClaimStale if there are none, before anything is written.
    """
    revision = verdict.revision
    earlier = Verdict.objects.filter(revision=revision, finished_at__isnull=False, number__lt=verdict.number)
    before, was_eligible = earlier.order_by("-number").values_list("state", "eligibility").first() or ("", "")
    changed_from, kind = before if before != report.state else "", eligibility.judge(report)
    columns |= {"proven_with": reports.provenance_digest(report.proven_with), "changed_from": changed_from}
    if not rows.update(**final(report.state), result=report.as_result(), eligibility=kind, **columns):
        raise queue.stale(verdict)
    is_main = Ref.objects.filter(name=MAIN, revision=revision).exists()
    check, _ = reports.refusal(report)
    outbox.record(
        Kind.VERDICT_REACHED,
        revision.repository,
        verdict=verdict.pk,
        revision=revision.oid,
        number=verdict.number,
        state=report.state,
        was=before or None,
        check=check or None,
        incomplete=revision.files_missing > 0,
        is_main=is_main,
    )
    return revision, was_eligible if is_main else "", kind if is_main else ""


def record_change(revision: Revision, was: str, now: str) -> None:
    """Record that a version of main does not become `verified` since it adds nothing, or that it may again.

    Call it after `move_verified`, which compares the version again: a regression may hold it back now.
    """
    is_let_in, is_held = now in ELIGIBLE and was in OVERRIDABLE, now in OVERRIDABLE and was not in OVERRIDABLE
    row = regressions.regression_of(revision) if is_let_in or is_held else None
    if is_let_in and not (row and row.is_held):
        regressions.record(revision, "It adds something now.", was, held=False)
    elif is_held and not (row and row.is_overridden):
        regressions.record(revision, eligibility.REASONS[now][0], now, held=True)


def claim_next(
    worker: str, able: queue.Capabilities, *, warm: Collection[str] = (), stay: bool = False
) -> Claim | None:
    """Claim the best job for this worker; None if it can do no queued job.

    `warm` are the bases in its memory; with `stay` their jobs come first.
    """
    for _ in range(queue.CANDIDATES):
        with transaction.atomic():
            verdict = next(filter(None, map(lock_first, queue.candidates(able, warm, stay=stay))), None)
            if verdict is None:
                return None
            taken = claim(verdict.pk, worker)
        if taken is not None:
            queue.admit(taken.verdict.owner_id)  # in a transaction of its own: it changes rows of other repositories
            return taken
    return None


def claim(verdict_id: int, worker: str) -> Claim | None:
    """Claim this job; None if it is finished, claimed, or waits for something.

    It locks the row of the verdict and no repository, which others lock before a verdict.
    """
    verdict = queue.ready().select_related("revision").filter(pk=verdict_id).first()
    if verdict is None:
        return None
    base = bases.find_base(verdict.base)  # it may have been removed
    adapter = None if base else adapter_named(verdict.base, verdict.revision)
    if not adapter and (reason := why_wait(verdict.base, base, verdict.format)):
        queue.ready().filter(pk=verdict_id).update(reason=reason, **queue.NOWHERE)
        return None
    fence = secrets.token_hex(16)
    with transaction.atomic():
        claimable = queue.ready().filter(pk=verdict_id, attempt__lt=settings.MAX_ATTEMPTS)
        columns = {"state": State.RUNNING, "turn": None, "fence": fence, "lease_until": lease()}
        if not claimable.update(**columns, attempt=F("attempt") + 1, started_at=Now()):
            return None
        verdict = queue.whole(verdict_id)
        number = 1 + Attempt.objects.filter(verdict=verdict).count()
        attempt = Attempt.objects.create(verdict=verdict, number=number, worker=worker)
    return Claim(verdict, fence, attempt, base, adapter)


def heartbeat(claim: Claim) -> None:
    """Prolong the lease. Raises ClaimStale if another worker holds the claim."""
    write(claim, lease_until=lease())


def progress(claim: Claim, checks: Sequence[CheckResult]) -> None:
    """Show the checks that ended so far, and prolong the lease. Raises ClaimStale."""
    write(claim, lease_until=lease(), result={"checks": [check.as_json() for check in checks]})


def record(claim: Claim, report: Report, duration_ms: int, *, compare: Sequence[str] = ()) -> None:
    """Record a report in one transaction: state, checks, and the ref `verified` if it moves.

    The state is passed, failed or errored. An error of the hub is tried again up to MAX_ATTEMPTS times, a limit once.
    `compare` names the engines that judge it later, when no validation waits. Raises ClaimStale before anything is
    written.
    """
    if reason := _worth_another_try(claim.verdict, report):
        give_back(claim, reason)
        return
    with queue.one_at_a_time(claim.verdict):
        report = _with_earlier(claim.verdict, report)
        for feature in seams.joined():
            report = feature.judged(claim.verdict, report)
        change = conclude(claimed(claim), claim.verdict, report, duration_ms=duration_ms)
        queue.end_attempt(claim.attempt, report.state)
        comparisons.ask(claim.verdict, compare)
        queue.show_and_move(claim.verdict)
        record_change(*change)


def _with_earlier(verdict: Verdict, report: Report) -> Report:
    """Return the report with what became of the programs of Use at the verdict before, until they are run again."""
    if report.usage is None or verdict.number == 1:
        return report
    passed = Verdict.objects.filter(revision=verdict.revision_id, number__lt=verdict.number, state=State.PASSED)
    last = passed.order_by("-number").first()
    return replace(report, programs=last.report.programs if last else None)


def give_back(claim: Claim, reason: str, *, counted: bool = True, outcome: str = "") -> None:
    """End an attempt without a verdict: queue it again, or end it as errored after the last attempt. Raises ClaimStale.

    `counted=False` is for an outage of a part of the hub: it is tried again after a pause and costs no attempt.
    `outcome` is what the attempt says of itself if that is not the reason.
    """
    verdict = claim.verdict
    with queue.one_at_a_time(verdict):
        queue.end_attempt(claim.attempt, outcome or reason)
        if counted and verdict.attempt >= settings.MAX_ATTEMPTS:
            duration_ms = round(1000 * (timezone.now() - claim.attempt.started_at).total_seconds())
            conclude(claimed(claim), verdict, _with_crash(verdict, reason), duration_ms=max(duration_ms, 0))
        elif counted:
            again = place(verdict.revision, verdict.base, verdict.format, verdict.cause)
            turn = queue.NOWHERE if again["reason"] else queue.in_front()
            write(claim, **queue.QUEUED_AGAIN | again | turn, nudged_at=None)
            transaction.on_commit(lambda: notify_again(verdict.pk), robust=True)
        else:
            paused = {"reason": reason[: queue.MAX_REASON], "not_before": Now() + PAUSE}
            write(claim, **queue.QUEUED_AGAIN, **paused, attempt=F("attempt") - 1)
        queue.show(verdict)


def sign_of_life(worker: str, problem: str = "", offer: queue.Offer | None = None) -> None:
    """Record a heartbeat: the worker's capabilities, and the problem that keeps it from taking jobs, if any."""
    columns = {"beat_at": Now(), "problem": problem[: queue.MAX_REASON], "offers": offer.as_json() if offer else {}}
    WorkerHeartbeat.objects.update_or_create(worker=worker, defaults=columns)


def sign_off(worker: str) -> None:
    """Delete the heartbeat of a worker that has ended, so that it does not count as alive."""
    WorkerHeartbeat.objects.filter(worker=worker).delete()


def _worth_another_try(verdict: Verdict, report: Report) -> str:
    """Return why this result is tried again, or "" if it is final."""
    failed = {check.id: check.message for check in report.failed}
    if report.state == State.ERRORED.value and verdict.attempt < settings.MAX_ATTEMPTS:
        return f"errored: {failed.get(CRASHED, 'a check crashed')}"
    if failed and failed.keys() <= LIMITS and verdict.attempt == 1:
        return f"failed once: {', '.join(failed)}"
    return ""


def _with_crash(verdict: Verdict, reason: str) -> Report:
    """Return the report of a validation that broke at each attempt."""
    check = CheckResult(
        CRASHED,
        "failed",
        f"Validation broke {verdict.attempt} times without a verdict; the last time: {reason}",
        "This is the hub's fault, not the adapter's: its operators see it in the worker's log.",
    )
    report = verdict.report
    return replace(report, state="errored", checks=(*report.checks, check))
