"""Proving again what was proven with other libraries, checks or rules than there are now, and what became of it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from dovetail.adapters.results.report import Provenance, Report
from registry.kernel.policy import Caller, listed_to
from registry.kernel.seams import Feature, Gauge
from registry.models import Repository, Revision, Verdict
from registry.models.verdicts import stored_report
from registry.proof.reports import refusal
from registry.proof.verdicts import queue, requests
from registry.proof.verified.regression_rule import differences
from registry.repos import refs

State, Cause = Verdict.State, Verdict.Cause
SHOWN = [refs.MAIN, refs.VERIFIED]
KEPT_DAYS = 180  # how far back the page of changes looks
MAX_CHANGES = 2_000
MAX_LOOKED_AT = 5_000  # verdicts that are left to other workers, in one run
EVERY_SECONDS = 600  # between two runs
SECONDS = 300.0  # of one run


# --- again -----------------------------------------------------------------------------------------------------------
def outdated(current: Collection[str]) -> QuerySet[Verdict]:
    """Return the verdicts of what main and `verified` point at that were proven with something else than this."""
    return _newest_of_heads().filter(finished_at__isnull=False).exclude(proven_with__in=list(current))


def with_failed_programs() -> QuerySet[Verdict]:
    """Return the verdicts of what main and `verified` point at for which a program of Use failed."""
    return _newest_of_heads().filter(has_failed_programs=True)


def _newest_of_heads() -> QuerySet[Verdict]:
    newer = Verdict.objects.filter(revision=OuterRef("revision"), number__gt=OuterRef("number"))
    heads = Revision.objects.filter(refs__name__in=SHOWN, repository__binned_at__isnull=True)
    return Verdict.objects.filter(revision__in=heads).exclude(Exists(newer))


def renew(current: Collection[str], engines: Collection[str], an_hour: int) -> int:
    """Queue verdicts that are out of date, the oldest first; return how many.

    These are as many as the workers can do until the next run beside all else, so that they never stand still, and
    `an_hour` where they have no time to spare. A push is proven before all but one of them (queue.py). `current` are
    the digests of what these engines may prove with today. A verdict of an engine that is not among them is left to a
    worker that has it.
    """
    if not current or not an_hour:
        return 0
    ends = monotonic() + SECONDS
    recent = Verdict.objects.filter(cause=Cause.RENEWAL, queued_at__gt=Now() - timedelta(hours=1)).count()
    left, done = max(an_hour - recent, queue.room(EVERY_SECONDS)), 0
    rows = outdated(current).order_by("finished_at").values_list("pk", "result__proven_with")
    for pk, proven_with in rows[: MAX_LOOKED_AT + max(0, left)] if left > 0 else ():
        if done >= left or monotonic() > ends:
            break
        if proven_with and not Provenance.read(proven_with).engines.keys() <= set(engines):
            continue
        verdict = Verdict.objects.select_related("revision__repository__namespace").get(pk=pk)
        with transaction.atomic():
            again = requests.request(verdict.revision, verdict.base, again=True, cause=Cause.RENEWAL)
        done += again.number == verdict.number + 1
    return done


# --- what became of it -----------------------------------------------------------------------------------------------
@dataclass
class Change:
    """Adapters that the same thing happened to: `turn` is stopped, works, broke or other; `check` says no."""

    turn: str
    since: str  # what is another one: peft 0.21.2 → 0.22.0
    check: str
    message: str  # of the first of them
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def at(self) -> Any:
        return max(verdict.finished_at for verdict in self.verdicts if verdict.finished_at)


def changes(by: Caller) -> list[Change]:
    """Return which adapters that the caller may see were judged otherwise than before, grouped by cause; newest first.

    The bytes are the same each time: what changed is what they were proven with.
    """
    seen = Exists(Repository.objects.filter(listed_to(by), pk=OuterRef("revision__repository")))
    earlier = Verdict.objects.filter(
        revision=OuterRef("revision"), number__lt=OuterRef("number"), finished_at__isnull=False
    )
    rows = Verdict.objects.filter(
        seen, ~Q(changed_from=""), finished_at__gt=Now() - timedelta(days=KEPT_DAYS)
    ).annotate(before=Subquery(earlier.order_by("-number").values("pk")[:1]))
    newest = list(
        rows.select_related("revision__repository__namespace").defer("result").order_by("-finished_at")[:MAX_CHANGES]
    )
    now = _reports([verdict.pk for verdict in newest], "proven_with", "base", "checks")
    was = _reports([verdict.before for verdict in newest], "proven_with", "base")
    nothing = Report(state="passed")
    grouped: dict[tuple[str, str, str], Change] = {}
    for verdict in newest:
        since = "; ".join(differences(was.get(verdict.before, nothing), now[verdict.pk]))
        check, message = refusal(now[verdict.pk])
        key = (_turn(verdict), since, check)
        grouped.setdefault(key, Change(*key, message)).verdicts.append(verdict)
    return sorted(grouped.values(), key=lambda change: change.at, reverse=True)


def _reports(rows: Collection[int], *keys: str) -> dict[int, Report]:
    """Return reports with these fields alone: thousands of whole ones are too much to read for one page."""
    values = Verdict.objects.filter(pk__in=rows).values_list("pk", "state", *(f"result__{key}" for key in keys))
    return {pk: stored_report(dict(zip(keys, parts, strict=True)), state) for pk, state, *parts in values}


def _turn(verdict: Verdict) -> str:
    if verdict.state == State.PASSED:
        return "works"
    if verdict.state == State.ERRORED:
        return "broke"  # ours: of the adapter it says nothing
    return "stopped" if verdict.changed_from == State.PASSED else "other"


def _counts() -> Iterator[Gauge]:
    failed = "Versions that are main or verified, and for which a program of Use failed here."
    yield Gauge("dovetail_failed_programs", failed, with_failed_programs().count())
    renewals = Verdict.objects.filter(cause=Verdict.Cause.RENEWAL)
    waiting = renewals.filter(state=Verdict.State.QUEUED).count()
    yield Gauge("dovetail_renewals_waiting", "Queued verdicts that the hub renews, as then.", waiting)
    lately = renewals.filter(finished_at__gt=Now() - timedelta(hours=1), duration_ms__isnull=False)
    yield Gauge("dovetail_hour_renewals", "Renewed verdicts of the last hour, as then.", lately.count())


def _renew(engines: Collection[str], provenances: Collection[str]) -> None:
    renew(provenances, engines, settings.RENEWALS_AN_HOUR)


FEATURE = Feature(counts=_counts, renew=_renew)
