"""Acts of moderators on repositories and revisions: quarantine, release, takedown, each with its entry in the log."""

from django.db import transaction

from registry import models
from registry.kernel import audit, outbox, policy, seams, stored_bytes
from registry.kernel.errors import NotAllowed, TakenDown, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.proof.verified import withdrawals

Action = models.ModerationDecision.Action
MAX_REASON, MAX_NOTE = 500, 10_000  # characters; every act of a moderator carries both


def quarantine(
    repository: models.Repository,
    by: Caller,
    *,
    reason: str,
    note: str = "",
    revision: models.Revision | None = None,
    case: models.Case | None = None,
) -> bool:
    """Hold an adapter, or one revision of it, back on every road.

    Returns False when it was held back already, with the first reason kept.
    `reason` is shown to its owners, `note` to moderators only. Raises ValueInvalid without a reason, and what
    policy.require raises for QUARANTINE.
    """
    return _decide(repository, by, Action.QUARANTINE, reason, note, revision, case)


def release(
    repository: models.Repository,
    by: Caller,
    *,
    reason: str,
    note: str = "",
    revision: models.Revision | None = None,
) -> bool:
    """Serve again what was quarantined; returns False when it was not held back.

    Raises TakenDown for what was taken down for good, NotAllowed for what a moderator may write to, and what
    quarantine raises.
    """
    policy.require(by, Permission.QUARANTINE, repository)
    _require_impartial(by, repository)
    held = revision or repository
    in_force = withdrawals.decision_in_force(held)
    if in_force is not None and in_force.action == Action.TAKEDOWN:
        raise TakenDown(f"{repository.full_name} was taken down: {in_force.reason}")
    with transaction.atomic():
        changed = _decide(repository, by, Action.RELEASE, reason, note, revision, None)
        if changed:
            seams.release(held, policy.require_moderator(by), reason)
    return changed


def take_down(
    repository: models.Repository,
    by: Caller,
    *,
    reason: str,
    note: str = "",
    revision: models.Revision | None = None,
    case: models.Case | None = None,
) -> bool:
    """Hold an adapter, or one revision of it, back for good, and delete its files; its name stays taken.

    Bytes that no other revision names are swept later. Returns False when it was taken down already. Raises as release
    does: files may be evidence against who asks.
    """
    policy.require(by, Permission.QUARANTINE, repository)
    _require_impartial(by, repository)
    with transaction.atomic():
        held = revision or repository
        in_force = withdrawals.decision_in_force(held)
        if in_force is not None and in_force.action == Action.TAKEDOWN:
            return False
        if held.is_quarantined:  # a hold becomes a takedown by a decision of its own
            type(held)._base_manager.filter(pk=held.pk).update(quarantined_at=None)
        changed = _decide(repository, by, Action.TAKEDOWN, reason, note, revision, case)
        rows = models.RevisionFile.objects.filter(revision__repository=repository)
        (rows.filter(revision=revision) if revision else rows).delete()
        binned = models.ExpiredFile.objects.filter(revision__repository=repository)
        (binned.filter(revision=revision) if revision else binned).delete()
        deliveries = models.UploadedBlob.objects.filter(repository=repository)
        deliveries.exclude(blob__in=rows.values("blob")).exclude(blob__in=binned.values("blob")).delete()
        stored_bytes.recount(repository)
    return changed


def delete(repository: models.Repository, by: Caller, *, reason: str, note: str = "") -> None:
    """Delete an adapter with everything in it; reports about it stay. It cannot be undone.

    Raises as take_down does.
    """
    policy.require(by, Permission.QUARANTINE, repository)
    _require_impartial(by, repository)
    actor = policy.require_moderator(by)
    reason, note = check_reason(reason), names.check_text(note, "note", MAX_NOTE)
    with transaction.atomic():
        audit.record(actor, "adapter:delete", repository.full_name, about=repository, reason=reason, note=note)
        outbox.record(outbox.Kind.DELETED, repository, actor)
        repository.delete()


def check_reason(reason: str) -> str:
    """Return the reason without spaces around it; raises ValueInvalid when there is none."""
    reason = names.check_text(reason, "reason", MAX_REASON)
    if not reason:
        raise ValueInvalid(
            "A reason is required.", fix="Explain in one sentence; the owners and the public log will see it."
        )
    return reason


def _require_impartial(by: Caller, repository: models.Repository) -> None:
    if policy.may_write(by, repository) and not policy.is_hub_admin(by):
        raise own_matter(repository.full_name)


def own_matter(name: str) -> NotAllowed:
    """Return the refusal for a moderator who may write to what is to be decided, or is concerned by it otherwise.

    Administrators of the hub may decide it: a small hub has nobody else.
    """
    return NotAllowed(f"{name} concerns you, so you cannot decide it.", fix="Ask another moderator.")


def _decide(
    repository: models.Repository,
    by: Caller,
    action: Action,
    reason: str,
    note: str,
    revision: models.Revision | None,
    case: models.Case | None,
) -> bool:
    policy.require(by, Permission.QUARANTINE, repository)
    actor = policy.require_moderator(by)
    reason, note = check_reason(reason), names.check_text(note, "note", MAX_NOTE)
    return withdrawals.decide(revision or repository, action, actor, reason, note, case)
