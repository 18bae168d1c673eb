"""People whom a directory reports gone: every road ends at once, and opens again only if it reports them back."""

from allauth.usersessions.models import UserSession
from django.db import transaction

from registry.kernel import audit
from registry.kernel.errors import NotAllowed
from registry.models import AuditEvent, DeviceLogin, User
from registry.people import accounts, addresses, tokens

LEFT, BACK, REMOVED = "person:leave", "person:return", "person:remove"


def leave(user: User) -> None:
    """End the sessions, tokens and waiting programs of a person, and keep them out; a no-op for one who left.

    What belongs to organisations stays, robots and trusted publishers too. Raises ValueInvalid for the last
    administrator of the hub.
    """
    with transaction.atomic():
        accounts.refuse_last_admin(user)
        row = User.objects.select_for_update().get(pk=user.pk)
        if not row.is_active and _last_word(user) in {LEFT, REMOVED}:
            return
        # Without an end: a suspension that is over must not let them in again.
        User.objects.filter(pk=user.pk).update(is_active=False, suspended_until=None)
        tokens.revoke_all(user, None)
        DeviceLogin.objects.filter(user=user).delete()
        for session in UserSession.objects.filter(user=user):
            session.end()
        audit.record(None, LEFT, user.username, about=user, before={"active": row.is_active}, after={"active": False})
    user.is_active = False


def come_back(user: User) -> None:
    """Let a person in again who left; their tokens stay revoked. Raises NotAllowed for a suspended one."""
    if user.is_active:
        return
    with transaction.atomic():
        event = AuditEvent.objects.filter(object=user.username, action__in=[LEFT, "person:suspend"]).first()
        if event is None or event.action != LEFT or event.before != {"active": True}:
            raise NotAllowed(f"{user.username} is suspended by this hub.", fix="Ask its moderators.")
        User.objects.filter(pk=user.pk).update(is_active=True)
        audit.record(None, BACK, user.username, about=user, before={"active": False}, after={"active": True})
    user.is_active = True


def remove(user: User) -> None:
    """Do as `leave` does, for good: the name and the commits stay, the address is free again. Raises what it raises."""
    with transaction.atomic():
        leave(user)
        addresses.set_address(user, "", verified=False, by=None)
        audit.record(None, REMOVED, user.username, about=user)


def is_removed(user: User) -> bool:
    """Return whether the directory has removed this person."""
    return not user.is_active and _last_word(user) == REMOVED


def _last_word(user: User) -> str:
    rows = AuditEvent.objects.filter(object=user.username, action__in=[LEFT, BACK, REMOVED])
    return rows.values_list("action", flat=True).first() or ""
