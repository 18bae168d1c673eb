"""Holds follow lineage: what was derived of a version that is held back is held back too, and released with it."""

from collections.abc import Iterable

from registry.kernel.outbox import Kind
from registry.models import DerivedVersion, ModerationDecision, OutboxEvent, Revision
from registry.proof.verified import withdrawals
from registry.proof.verified.withdrawals import LINEAGE

Action = ModerationDecision.Action


def consume(event: OutboxEvent) -> None:
    """Hold back or release the versions that were derived of what the event is about."""
    if event.kind not in (Kind.QUARANTINED, Kind.RELEASED):
        return
    decision = ModerationDecision.objects.filter(pk=event.data.get("decision")).select_related("case").first()
    if decision is None:
        return
    for derived in _derived_of(decision):
        revision = derived.revision
        if revision is None:
            continue
        if event.kind == Kind.QUARANTINED:
            withdrawals.hold(revision, _reason(decision), decision.case, finding=LINEAGE)
        elif _may_return(derived, revision):
            withdrawals.decide(
                revision, Action.RELEASE, None, "What it was derived of is released.", "", finding=LINEAGE
            )


def hold_if_source_is_held(number: int) -> None:
    """Hold back a new derived version if one of its sources was held back while it was made."""
    derived = DerivedVersion.objects.select_related("revision__repository__namespace").get(pk=number)
    held = next((source for source in _sources(derived) if _is_held(source)), None)
    decision = withdrawals.decision_in_force(held if held.is_quarantined else held.repository) if held else None
    if derived.revision is not None and decision is not None:
        withdrawals.hold(derived.revision, _reason(decision), decision.case, finding=LINEAGE)


def _derived_of(decision: ModerationDecision) -> Iterable[DerivedVersion]:
    rows = DerivedVersion.objects.select_related("revision__repository__namespace")
    if decision.revision is not None:
        return rows.filter(sources__revision=decision.revision).distinct()
    # The versions of a repository that is held as a whole are held with it; those elsewhere are not.
    return (
        rows.filter(sources__revision__repository=decision.repository)
        .exclude(repository=decision.repository)
        .distinct()
    )


def _may_return(derived: DerivedVersion, revision: Revision) -> bool:
    """Return whether lineage alone holds it back, and no source is held any more."""
    decision = withdrawals.decision_in_force(revision)
    is_by_lineage = decision is not None and decision.finding == LINEAGE
    return revision.is_quarantined and is_by_lineage and not any(map(_is_held, _sources(derived)))


def _sources(derived: DerivedVersion) -> list[Revision]:
    rows = derived.sources.filter(revision__isnull=False).select_related("revision__repository")
    return [source.revision for source in rows if source.revision is not None]


def _is_held(revision: Revision) -> bool:
    return revision.is_quarantined or revision.repository.is_quarantined


def _reason(decision: ModerationDecision) -> str:
    return f"It was derived of a version that is held back: {decision.reason}"
