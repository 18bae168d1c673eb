"""Keep a person out, and let them in again: by a moderator, by the rules of strikes, or because the time is over."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from registry.kernel import audit, policy, seams
from registry.kernel.errors import NotAllowed, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import User
from registry.moderation.quarantine import MAX_NOTE, check_reason
from registry.people import accounts


def suspend(user: User, by: Caller, *, reason: str, note: str = "", until: datetime | None = None) -> bool:
    """Keep a person out: sessions and tokens end, and their repositories are withheld; `until` is when it ends.

    Returns False when that was so already. Raises ValueInvalid without a reason, for an end in the past and for the
    last administrator, NotAllowed for oneself and, unless an administrator asks, for moderators; and what
    policy.require_moderator raises.
    """
    if until is not None and until <= timezone.now():
        raise ValueInvalid(f"{until} is in the past.", fix="Give a later time, or none.")
    return _change(user, by, False, reason, note, until)


def unsuspend(user: User, by: Caller, *, reason: str, note: str = "") -> bool:
    """Let a suspended person in again; return False if they were not suspended.

    Raises as suspend does, and NotAllowed for a person who is gone: their directory alone lets them in again.
    """
    return _change(user, by, True, reason, note, None)


def _change(user: User, by: Caller, active: bool, reason: str, note: str, until: datetime | None) -> bool:
    actor = policy.require_moderator(by)
    if user.pk == actor.pk:
        raise NotAllowed("You cannot suspend yourself.", fix="Ask another moderator.")
    if user.role != User.Role.USER:
        policy.require_admin(by)
    if active and User.objects.filter(pk=user.pk).exclude(departure="").exists():
        raise NotAllowed(f"{user.username} was removed by the directory.", fix="Restore the person in the directory.")
    reason, note = check_reason(reason), names.check_text(note, "note", MAX_NOTE)
    return _write(user, active, actor, reason, note, until)


def suspend_by_hub(user: User, reason: str) -> bool:
    """Suspend a person until moderators review it; return False if they are suspended already."""
    return _write(user, False, None, reason, "", None)


def end_due() -> int:
    """End the suspensions whose time is over; return how many. A worker calls it every half minute."""
    due = User.objects.filter(suspended_at__isnull=False, suspended_until__lte=timezone.now())
    return sum(_write(user, True, None, "The time of the suspension is over.", "", None) for user in due)


def _write(user: User, active: bool, actor: User | None, reason: str, note: str, until: datetime | None) -> bool:
    with transaction.atomic():
        if not active:
            accounts.refuse_last_admin(user)
        row = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if (row.suspended_at is None) == active:
            return False
        user.suspended_at, user.suspended_until = None if active else timezone.now(), until
        user.is_active = active and not row.departure  # the end of a suspension lets nobody in who is gone
        user.save(update_fields=["suspended_at", "suspended_until", "is_active"])
        seams.change_pulls(Q(namespace=user.namespace_id))
        verb = "unsuspend" if active else "suspend"
        audit.record(
            actor,
            f"person:{verb}",
            user.username,
            about=user,
            reason=reason,
            note=note,
            before={"active": row.is_active},
            after={"active": user.is_active, **({"until": until.isoformat()} if until else {})},
        )
    return True
