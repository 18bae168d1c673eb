"""The ledger of strikes: give, void, count, and what follows from the strikes that count."""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from registry.kernel import audit, outbox, policy
from registry.kernel.errors import NotAllowed
from registry.models import Case, Strike, User
from registry.moderation import suspension
from registry.moderation.quarantine import check_reason

LASTS = timedelta(days=90)
PAUSE_POINTS, PAUSE = 2, timedelta(days=3)  # with so many points nobody publishes for so long
SUSPEND_POINTS = 3  # with so many, they are suspended until moderators have reviewed it


def active(user: User) -> QuerySet[Strike]:
    """Return the strikes that count now."""
    return user.strikes.filter(voided_at__isnull=True, expires_at__gt=timezone.now())


def points(user: User) -> int:
    """Return the sum of the points that count now."""
    return active(user).aggregate(sum=Sum("points"))["sum"] or 0


def give(user: User, reason: str, *, by: User, case: Case | None = None, points: int = 1) -> Strike:
    """Write a moderator's strike into a person's ledger, tell them, and let the consequences follow.

    Call it in the transaction of the decision that it belongs to. No rule of the hub gives one.
    """
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).filter(pk=user.pk).values_list("pk").first()  # one count at a time
        now = timezone.now()
        strike = Strike.objects.create(
            user=user, reason=reason, case=case, by=by, points=points, at=now, expires_at=now + LASTS
        )
        audit.record(by, "person:strike", user.username, about=user, reason=reason, after={"points": points})
        outbox.record(outbox.Kind.STRUCK, None, by, strike=strike.pk)
        _escalate(user)
    return strike


def void(strike: Strike, by: policy.Caller, *, reason: str) -> bool:
    """Make a strike count no more, with a reason; return False if it was voided already.

    A pause that the remaining strikes do not justify ends; a suspension is ended by a moderator alone.
    """
    actor = policy.require_moderator(by)
    reason = check_reason(reason)
    if strike.user_id == actor.pk:
        raise NotAllowed("You cannot void your own strike.", fix="Ask another moderator.")
    with transaction.atomic():
        row = Strike.objects.filter(pk=strike.pk, voided_at__isnull=True)
        if not row.update(voided_at=timezone.now(), voided_by=actor, void_reason=reason):
            return False
        audit.record(
            actor, "person:void-strike", strike.user.username, about=strike.user, reason=reason, before=strike.pk
        )
        if points(strike.user) < PAUSE_POINTS:
            User.objects.filter(pk=strike.user_id).update(paused_until=None)
    return True


def _escalate(user: User) -> None:
    """Pause or suspend a person whose strikes add up; staff is never paused or suspended by a count."""
    total = points(user)
    if user.role != User.Role.USER or total < PAUSE_POINTS:
        return
    if total >= SUSPEND_POINTS:
        suspension.suspend_by_hub(
            user, f"{total} strikes count against {user.username}; moderators review the account."
        )
        return
    until = timezone.now() + PAUSE
    User.objects.filter(pk=user.pk).update(paused_until=until)
    user.paused_until = until
    audit.record(
        None, "person:pause", user.username, about=user, reason=f"{total} strikes count", after=until.isoformat()
    )
