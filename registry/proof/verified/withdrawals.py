"""Withdrawals: the hub and its moderators hold repositories and revisions back, and owners yank revisions.

Every read path checks a hold. The hub holds things back by itself here; moderators act by
registry/moderation/quarantine.py. A yank is its owners' advice: a yanked revision is never `verified`, and lists leave
an adapter out whose main is yanked. Its commit id and its tags still serve it, so that nobody who pinned it is broken;
registry/repos/pull.py resolves names so.
"""

from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.kernel import audit, outbox, policy
from registry.kernel.errors import ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import Case, ModerationDecision, Ref, Repository, Revision, User
from registry.proof.verified import regressions
from registry.proof.verified.verified import move_verified
from registry.repos import refs
from registry.repos.eligibility import read_good_revisions

MAX_REASON = 500
LINEAGE = "lineage.held"  # the finding of a hold because what it was derived of is held back
Action = ModerationDecision.Action


def hold(held: Repository | Revision, reason: str, case: Case | None = None, *, finding: str = "") -> bool:
    """Hold back in the hub's own name; return False if it is held already or a moderator released it.

    `finding` is the id of the check or rule that found it, by which features/moderation opens a case.
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


def yank(revision: Revision, by: Caller, reason: str) -> bool:
    """Yank a revision for a reason that everybody sees; return False, with the first reason kept, if it is already.

    Raises ValueInvalid without a reason, and what policy.require raises for PUSH.
    """
    reason = names.check_text(reason, "reason", MAX_REASON)
    if not reason:
        raise ValueInvalid("A yank requires a reason.", fix="Explain in one sentence what is wrong with it.")
    return _change(revision, by, reason, is_yank=True)


def unyank(revision: Revision, by: Caller, reason: str = "") -> bool:
    """Take a yank back; return False if there is none. Raises ValueInvalid, and what policy.require raises for PUSH."""
    return _change(revision, by, names.check_text(reason, "reason", MAX_REASON), is_yank=False)


@dataclass(frozen=True, slots=True)
class Consequences:
    """The names that lead to a revision now, and whether another one is left: all that a yank of it changes for others.

    Tags lead to it afterwards too; `aliases` fall back, or name nothing if no other one passed.
    """

    is_main: bool
    is_verified: bool
    aliases: list[str]
    tags: list[str]
    has_other: bool  # another revision in the history of main passed and is served


def consequences(revision: Revision) -> Consequences:
    """Return what a yank of this revision would change; three queries."""
    named = Ref.objects.filter(repository=revision.repository_id).values_list("name", "revision")
    at = dict(named.order_by("name"))
    repository = revision.repository_id
    good = regressions.with_passed_by(read_good_revisions(repository), regressions.comparisons_of(repository))
    others = set(good.history(at.get(refs.MAIN))) - {revision.pk}
    leading = [name for name, pk in at.items() if pk == revision.pk]
    return Consequences(
        refs.MAIN in leading,
        refs.VERIFIED in leading,
        [refs.short_name(name) for name in leading if name.startswith(refs.ALIASES)],
        [refs.short_name(name) for name in leading if name.startswith(refs.TAGS)],
        any(good.is_served(pk) and pk not in good.passed_by for pk in others),
    )


def carry(old: Revision, new: Revision) -> None:
    """Yank a commit that replaces a yanked one in the same repository, in the caller's transaction."""
    if old.yanked_at is not None and old.repository_id == new.repository_id:
        new.yanked_at, new.yank_reason = old.yanked_at, old.yank_reason
        new.save(update_fields=["yanked_at", "yank_reason"])


def _change(revision: Revision, by: Caller, reason: str, *, is_yank: bool) -> bool:
    before = revision.yank_reason
    at, kept = (timezone.now(), reason) if is_yank else (None, "")
    with transaction.atomic():
        repository = policy.require_now(by, Permission.PUSH, revision.repository)
        row = Revision.objects.filter(pk=revision.pk, yanked_at__isnull=is_yank)
        if not row.update(yanked_at=at, yank_reason=kept):
            return False
        move_verified(repository.pk)
        kind, action = (Kind.YANKED, "yank") if is_yank else (Kind.UNYANKED, "unyank")
        outbox.record(kind, repository, by.user, revision=revision.oid, reason=reason)
        audit.record(
            by.user,
            f"revision:{action}",
            f"{repository.full_name}@{revision.oid}",
            about=repository,
            reason=reason,
            before={"yanked": before or None},
            after={"yanked": kept or None},
        )
    revision.yanked_at, revision.yank_reason = at, kept
    return True
