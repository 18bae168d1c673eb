"""Acts of moderators, each with its entry in the log: quarantine and release repositories, suspend people."""

from django.db import transaction

from registry.kernel import audit, names, policy
from registry.kernel.errors import NotAllowed, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.models import ModerationDecision, Repository, Revision, User
from registry.people import accounts
from registry.proof import holding

MAX_REASON = 500
MAX_NOTE = 10_000
Action = ModerationDecision.Action


def quarantine(
    repository: Repository, by: Caller, *, reason: str, note: str = "", revision: Revision | None = None
) -> bool:
    """Hold an adapter, or one revision of it, back on every road.

    Returns False when it was held back already, with the first reason kept.
    `reason` is shown to its owners, `note` to moderators only. Raises ValueInvalid without a reason, and what
    policy.require raises for QUARANTINE.
    """
    return _rule(repository, by, Action.QUARANTINE, reason, note, revision)


def release(
    repository: Repository, by: Caller, *, reason: str, note: str = "", revision: Revision | None = None
) -> bool:
    """Serve again what was quarantined; returns False when it was not held back. Raises as quarantine does."""
    return _rule(repository, by, Action.RELEASE, reason, note, revision)


def _rule(
    repository: Repository,
    by: Caller,
    action: Action,
    reason: str,
    note: str,
    revision: Revision | None,
) -> bool:
    policy.require(by, Permission.QUARANTINE, repository)
    actor = policy.require_moderator(by)
    reason, note = check_reason(reason), names.check_text(note, "note", MAX_NOTE)
    return holding.decide(revision or repository, action, actor, reason, note)


def suspend(user: User, by: Caller, *, reason: str, note: str = "") -> bool:
    """Keep a person out: sessions and tokens end, and their repositories are withheld.

    Returns False when that was so already. Raises ValueInvalid without a reason and for the last administrator,
    NotAllowed for oneself and, unless an administrator asks, for moderators; and what policy.require_moderator raises.
    """
    return _let_in(user, by, False, reason, note)


def unsuspend(user: User, by: Caller, *, reason: str, note: str = "") -> bool:
    """Let a suspended person in again; return False if they were not suspended. Raises as suspend does."""
    return _let_in(user, by, True, reason, note)


def _let_in(user: User, by: Caller, active: bool, reason: str, note: str) -> bool:
    actor = policy.require_moderator(by)
    if user.pk == actor.pk:
        raise NotAllowed("You cannot suspend yourself.", fix="Ask another moderator.")
    if user.role != User.Role.USER:
        policy.require_admin(by)
    reason, note = check_reason(reason), names.check_text(note, "note", MAX_NOTE)
    with transaction.atomic():
        if not active:
            accounts.refuse_last_admin(user)
        if not User.objects.filter(pk=user.pk, is_active=not active).update(is_active=active):
            return False
        verb = "unsuspend" if active else "suspend"
        audit.record(
            actor,
            f"person:{verb}",
            user.username,
            about=user,
            reason=reason,
            note=note,
            before={"active": not active},
            after={"active": active},
        )
    user.is_active = active
    return True


def check_reason(reason: str) -> str:
    """Return the reason without spaces around it; raises ValueInvalid when there is none."""
    reason = names.check_text(reason, "reason", MAX_REASON)
    if not reason:
        raise ValueInvalid("A reason is needed.", fix="Say in a sentence why; the owners and the log will show it.")
    return reason
