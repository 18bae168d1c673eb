"""The sweep of verdicts: repairs the effects of dead workers, lost messages, and bases that come late or never."""

import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Lower, Now

from dovetail.adapters.results.report import CheckResult, Report
from registry.kernel.errors import ClaimStale
from registry.models import Base, ProcessReport, Ref, Regression, Repository, Revision, Verdict, WorkerHeartbeat
from registry.proof.verdicts import comparisons, queue
from registry.proof.verdicts.jobs import conclude, give_back
from registry.proof.verdicts.queue import LOST, MAX_REASON, Claim, Fleet, State, one_at_a_time, show
from registry.proof.verdicts.requests import (
    NOT_RUN,
    adapter_named,
    notify_again,
    place,
    request,
    route_to,
    why_wait,
)
from registry.proof.verified import regressions
from registry.proof.verified.verified import list_facts, move_verified
from registry.repos import bases, eligibility, lookup
from registry.repos.refs import MAIN, VERIFIED

logger = logging.getLogger(__name__)

NUDGE_AGAIN = timedelta(seconds=60)
NUDGES_A_SWEEP = 50  # each message is a hint for one row; the other rows had their own
BASE_PATIENCE = timedelta(days=30)
JUDGED_AT_ONCE = 500
JUDGING_SECONDS = 20.0  # of one sweep
CORRECTED_WITHIN = timedelta(hours=3)  # of the move, with an hour between corrections
LET_IN = "This hub takes versions that fit their base."
Kind = Verdict.Eligibility


@dataclass(frozen=True)
class Swept:
    """The numbers of rows that a sweep repaired."""

    lost: int
    released: int
    nudged: int
    given_up: int


def sweep() -> Swept:
    """Repair the effects of dead workers, lost messages and missing bases; sweeps may run concurrently."""
    lost = sum(map(_take_from_dead_worker, list(_expired())))
    _set_aside()
    released = _release_waiting(_waiting().filter(Q(not_before__isnull=True) | Q(not_before__lte=Now())))
    lost_hope = _waiting().filter(queued_at__lt=Now() - BASE_PATIENCE, not_before__isnull=True, route="")
    given_up = sum(map(_give_up_on_base, list(lost_hope.exclude(_on_shelf()))))
    for owner in queue.held().values_list("owner", flat=True).distinct():
        queue.admit(owner)
    comparisons.give_up()
    unheard = queue.ready().alias(last=Coalesce("nudged_at", "queued_at")).filter(last__lt=Now() - NUDGE_AGAIN)
    due = list(unheard.order_by("turn", "pk").values_list("pk", flat=True)[:NUDGES_A_SWEEP])
    for verdict in due:
        notify_again(verdict)
    WorkerHeartbeat.objects.filter(beat_at__lt=Now() - timedelta(days=1)).delete()
    ProcessReport.objects.filter(at__lt=Now() - timedelta(days=1)).delete()
    _judge_earlier()  # last: it takes its time
    return Swept(lost, released, len(due), given_up)


def _judge_earlier() -> None:
    """Decide of verdicts that were finished under another rule whether `verified` may name them, and move it.

    They are those of earlier releases, and of the other DOVETAIL_VERIFIED_DEPTH. The newest come first, a batch is
    written after all that follows from it, and what is left waits for the next sweep.
    """
    ends = monotonic() + JUDGING_SECONDS
    loosened = Kind.NOT_RUN if settings.VERIFIED_DEPTH == "fit" else Kind.FITS
    for kind in (Kind.UNJUDGED, loosened):
        rows = Verdict.objects.filter(eligibility=kind, finished_at__isnull=False).order_by("-pk")
        while monotonic() < ends and (keys := list(rows.values_list("pk", flat=True)[:JUDGED_AT_ONCE])):
            kinds = eligibility.judged(Verdict.objects.filter(pk__in=keys))
            for repository in _moving(kinds):
                _move(repository, kinds)
            if kind == Kind.UNJUDGED:
                _list_verified(keys)
            eligibility.write(kinds)


def correct_verified() -> int:
    """Move `verified` where it names a version that may not have that name; return of how many repositories.

    A worker of the release before, which runs beside one of this release during an upgrade, moves it by its own rule.
    """
    decided = Verdict.objects.filter(revision=OuterRef("revision"), state__in=Verdict.DECIDED).order_by("-number")
    recent = Ref.objects.filter(name=VERIFIED, updated_at__gt=Now() - CORRECTED_WITHIN)
    recent = recent.alias(kind=Subquery(decided.values("eligibility")[:1])).exclude(
        revision__regression__override_at__isnull=False
    )
    is_ineligible = ~Q(kind__in=[*eligibility.ELIGIBLE, Kind.UNJUDGED])  # the sweep moves what is not judged yet
    wrong = recent.filter(is_ineligible | Q(revision__regression__outcome=Regression.Outcome.WORSE))
    verdicts = Verdict.objects.filter(revision__in=wrong.values("revision")).select_related("revision")
    by_repository = {verdict.revision.repository_id: verdict for verdict in verdicts}
    for repository, verdict in by_repository.items():
        with one_at_a_time(verdict):
            move_verified(repository)
    return len(by_repository)


def _moving(kinds: Mapping[int, str]) -> Iterable[int]:
    """Return the repositories in which `verified` may move."""
    gained = [pk for pk, kind in kinds.items() if kind == Kind.FITS]
    lost = [pk for pk, kind in kinds.items() if kind not in eligibility.ELIGIBLE]
    named = Ref.objects.filter(name=VERIFIED, revision__verdicts__in=lost)
    let_in = Verdict.objects.filter(pk__in=gained)
    return {*named.values_list("repository", flat=True), *let_in.values_list("revision__repository", flat=True)}


def _move(repository: int, kinds: Mapping[int, str]) -> None:
    rows = Verdict.objects.filter(revision__repository=repository, pk__in=kinds)
    named = Ref.objects.filter(repository=repository, name=VERIFIED)
    verdict = rows.select_related("revision").first()
    if verdict is None:  # deleted meanwhile
        return
    with one_at_a_time(verdict):
        before = named.select_related("revision__repository__namespace").first()
        eligibility.write({pk: kinds[pk] for pk in rows.values_list("pk", flat=True)})
        move_verified(repository)
        after = named.select_related("revision__repository__namespace").first()
        if before and after and before.revision_id == after.revision_id:
            return
        because = eligibility.of_revision(before.revision).because if before else None
        if before and because:  # its owners learn that it lost the name
            regressions.record(before.revision, eligibility.REASONS[because][0], because, held=True)
        elif after:
            regressions.record(after.revision, LET_IN, eligibility.NOT_RUN, held=False)


def _list_verified(keys: Iterable[int]) -> None:
    """Show the facts of what `verified` names in lists, where an earlier release showed those of a newer main."""
    main = Ref.objects.filter(name=MAIN, repository=OuterRef("repository"), revision=OuterRef("revision"))
    named = Ref.objects.filter(~Exists(main), name=VERIFIED)
    rows = Verdict.objects.filter(pk__in=keys, revision__in=named.values("revision")).select_related("revision")
    for verdict in rows:
        with one_at_a_time(verdict):
            move_verified(verdict.revision.repository_id)
            if named.filter(revision=verdict.revision_id).exists():
                list_facts(verdict.revision.repository_id, verdict.revision_id)


def _set_aside() -> None:
    """Remove the turns of rows that no living worker can do, and store the reason."""
    fleet = Fleet.now()
    for route, format_name in queue.ready().values_list("route", "format").distinct():
        if reason := fleet.lack(route, format_name):
            stuck = queue.ready().filter(route=route, format=format_name)
            stuck.update(reason=reason[:MAX_REASON], **queue.NOWHERE)


def _release_waiting(waiting: QuerySet[Verdict]) -> int:
    """Queue rows that no longer wait for anything; return their number. Update the reason of the others."""
    fleet, released = Fleet.now(), 0
    for base, format_name in waiting.values_list("base", "format").distinct():
        alike = waiting.filter(base=base, format=format_name)
        row = bases.find_base(base)
        reason = (why_wait(base, row, format_name) or fleet.lack(route_to(row), format_name))[:MAX_REASON]
        # Only where the name is that of an adapter is each row asked whether its readers may know.
        is_each_asked = not reason or lookup.named(base, Repository.Type.MODEL).exclude(format="").exists()
        ready = [one for one in alike if not reason or adapter_named(base, one.revision)] if is_each_asked else []
        released += sum(map(_release, ready))
        if reason:
            others = alike.exclude(pk__in=[one.pk for one in ready]).exclude(reason=reason)
            others.update(reason=reason, not_before=None)
    return released


def _release(verdict: Verdict) -> bool:
    placed = place(verdict.revision, verdict.base, verdict.format, verdict.cause)
    if not _waiting().filter(pk=verdict.pk).update(**placed):
        return False
    notify_again(verdict.pk)
    return True


def doubt(base: Base) -> int:
    """Have what was proven on this base proven again in time: it holds other bytes now. Returns how many verdicts."""
    return Verdict.objects.filter(base__iexact=base.id, finished_at__isnull=False).update(proven_with="")


def base_arrived(base: Base) -> int:
    """Queue the verdicts that waited for this base; return their number.

    Verdicts of depth `fit`, made without its weights, are repeated; formats that no engine runs are compared with it.
    """
    bases.rename_to_canonical()  # rows may name it by an alias
    fitted = Q(verdicts__result__depth="fit") if base.has_weights else Q(pk__in=())
    looked_at = Q(verdicts__format__in=NOT_RUN, verdicts__state=State.PASSED, verdicts__result__depth="static")
    heads = Revision.objects.filter(fitted | looked_at, refs__name=MAIN, verdicts__base__iexact=base.id)
    heads = heads.filter(repository__binned_at__isnull=True)
    for revision in heads.distinct():
        request(revision, base.id, again=True, cause=Verdict.Cause.BASE)
    unpaused = _waiting().filter(base__iexact=base.id).exclude(not_before__gt=Now())
    return _release_waiting(unpaused)


def _expired() -> QuerySet[Verdict]:
    return Verdict.objects.select_related("revision__repository").filter(state=State.RUNNING, lease_until__lt=Now())


def _waiting() -> QuerySet[Verdict]:
    waiting = Verdict.objects.filter(state=State.QUEUED, turn__isnull=True, held_at__isnull=True)
    return waiting.select_related("revision__repository")


def _on_shelf() -> Exists:
    return Exists(Base.objects.alias(key=Lower("id")).filter(key=Lower(OuterRef("base"))))


def _take_from_dead_worker(verdict: Verdict) -> bool:
    attempt = verdict.attempts.order_by("-number").first()
    assert attempt is not None, "a running verdict has an attempt"
    logger.warning("A worker was lost", extra={"verdict": verdict.pk, "worker": attempt.worker})
    reason = f"The worker {attempt.worker} was lost while it validated this (attempt {verdict.attempt})."
    try:
        give_back(Claim(verdict, verdict.fence, attempt), reason, outcome=LOST)
    except ClaimStale:  # the worker finished, or another sweep was faster
        return False
    return True


def _give_up_on_base(verdict: Verdict) -> bool:
    check = CheckResult(
        "base.unknown",
        "failed",
        f"The base model {verdict.base} was not in this hub's base cache for {BASE_PATIENCE.days} days.",
        f"Request it at /bases/{verdict.base}, and validate again when it is available.",
    )
    with one_at_a_time(verdict), contextlib.suppress(ClaimStale):  # a worker took it meanwhile
        conclude(
            Verdict.objects.filter(pk=verdict.pk, state=State.QUEUED), verdict, Report(state="failed", checks=(check,))
        )
        show(verdict)
        return True
    return False
