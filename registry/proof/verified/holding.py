"""Hold repositories and revisions back, and release them: the state that every read path checks, and its decision.

The hub holds things back by itself here; moderators act by registry/moderation/quarantine.py.
"""

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.kernel import audit, outbox
from registry.kernel.outbox import Kind
from registry.models import Case, ModerationDecision, Repository, Revision, User
from registry.proof.verified.verified import move_verified

MAX_REASON = 500
LINEAGE = "lineage.held"  # the finding of a hold because what it was derived of is held back
Action = ModerationDecision.Action


def hold(held: Repository | Revision, reason: str, case: Case | None = None, *, finding: str = "") -> bool:
    """Hold back in the hub's own name; return False if it is held already or a moderator released it.

    `finding` is the id of the check or rule that found it, by which registry/moderation/cases/findings.py opens a case.
    """
    if decisions_on(held).filter(action=Action.RELEASE).exclude(finding=LINEAGE).exists():
        return False
    return decide(held, Action.QUARANTINE, None, reason[:MAX_REASON], "", case, finding=finding)


def hold_like(revision: Revision, like: Revision) -> bool:
    """Hold a revision back for the reason that another one with the same files is held back for, if that one is."""
    decision = decision_in_force(like)
    is_held = decision is not None and Revision.objects.filter(pk=like.pk, quarantined_at__isnull=False).exists()
    return is_held and decision is not None and hold(revision, decision.reason, finding=decision.finding)


def decisions_on(held: Repository | Revision) -> QuerySet[ModerationDecision]:
    """Return the decisions about a revision, or about a repository as a whole."""
    return held.decisions.filter(revision__isnull=True) if isinstance(held, Repository) else held.decisions.all()


def decision_in_force(held: Repository | Revision) -> ModerationDecision | None:
    """Return the decision that holds something back, the newest one; None if there never was one."""
    return decisions_on(held).exclude(action=Action.RELEASE).order_by("-pk").first()


def decide(
    target: Repository | Revision,
    action: Action,
    by: User | None,
    reason: str,
    note: str,
    case: Case | None = None,
    *,
    finding: str = "",
) -> bool:
    """Hold back or release in one transaction with its decision, event and log entry; return False for a no-op.

    `verified` falls back to the newest revision that passed and is served, and comes back with a release.
    """
    revision = target if isinstance(target, Revision) else None
    repository = target.repository if isinstance(target, Revision) else target
    holds = action is not Action.RELEASE
    at = timezone.now() if holds else None
    with transaction.atomic():
        own_row = lock(repository)
        # The condition decides between two who act at once: one decision, one event.
        row = Revision.objects.filter(pk=revision.pk) if revision else own_row
        if not row.filter(quarantined_at__isnull=holds).update(quarantined_at=at):
            return False
        if revision is not None:
            move_verified(repository.pk)
        decision = ModerationDecision.objects.create(
            repository=repository,
            revision=revision,
            action=action,
            reason=reason,
            note=note,
            by=by,
            case=case,
            finding=finding,
        )
        _record(decision, holds=holds)
    target.quarantined_at = at
    return True


def lock(repository: Repository) -> QuerySet[Repository]:
    """Lock a repository, also one in the bin, and return the query for its row; call it in a transaction.

    Pushes take this lock too, and decisions take it before any other: main may be about to move, and a statement that
    waits still sees the old refs.
    """
    row = Repository.with_binned.filter(pk=repository.pk)
    row.select_for_update(no_key=True).values_list("pk").first()
    return row


def _record(decision: ModerationDecision, *, holds: bool) -> None:
    """Record the event and the log entry of a decision."""
    repository, revision, by = decision.repository, decision.revision, decision.by
    oid = revision.oid if revision else ""
    kind = Kind.QUARANTINED if holds else Kind.RELEASED
    outbox.record(kind, repository, by, revision=oid, decision=decision.pk)
    audit.record(
        by,
        f"{'revision' if revision else 'adapter'}:{decision.action}",
        f"{repository.full_name}@{oid}" if revision else repository.full_name,
        about=repository,
        reason=decision.reason,
        note=decision.note,
        before={"quarantined": not holds},
        after={"quarantined": holds},
    )
