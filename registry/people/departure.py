"""People whom a directory reports gone: every road ends at once, and opens again only if it reports them back."""

from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db import transaction

from registry.kernel import audit, plane_requests
from registry.kernel.errors import NotAllowed
from registry.models import DeviceLogin, SignInPlace, User
from registry.people import accounts, addresses
from registry.people.tokens import tokens

Departure = User.Departure


def leave(user: User) -> None:
    """End the sessions, tokens and waiting programs of a person, and keep them out; a no-op for one who left.

    What belongs to organisations stays, robots and trusted publishers too. A suspension stays as it is. Raises
    ValueInvalid for the last administrator of the hub.
    """
    with transaction.atomic():
        accounts.refuse_last_admin(user)
        row = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if row.departure:
            return
        User.objects.filter(pk=user.pk).update(is_active=False, departure=Departure.LEFT)
        plane_requests.request_owned_by(user.namespace_id)
        tokens.revoke_all(user, None)
        DeviceLogin.objects.filter(user=user).delete()
        for session in UserSession.objects.filter(user=user):
            session.end()
        before, after = {"active": row.is_active}, {"active": False}
        audit.record(None, "person:leave", user.username, about=user, before=before, after=after)
    user.is_active, user.departure = False, Departure.LEFT


def come_back(user: User) -> None:
    """Let a person in again who left; their tokens stay revoked. Raises NotAllowed for a suspended or removed one."""
    with transaction.atomic():
        row = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if row.suspended_at:
            raise NotAllowed(f"{user.username} is suspended by this hub.", fix="Ask its moderators.")
        if row.departure == Departure.REMOVED:
            raise NotAllowed(f"{user.username} was removed.", fix="Add the person again.")
        if not row.departure:
            return
        User.objects.filter(pk=user.pk).update(is_active=True, departure="")
        plane_requests.request_owned_by(user.namespace_id)
        before, after = {"active": False}, {"active": True}
        audit.record(None, "person:return", user.username, about=user, before=before, after=after)
    user.is_active, user.departure = True, ""


def remove(user: User) -> None:
    """Do as `leave` does, for good: the name and the commits stay, the address is free again. Raises what it raises.

    Links with identity providers go: a person who is hired again gets a new account by the same identity.
    """
    with transaction.atomic():
        leave(user)
        addresses.set_address(user, "", verified=False, by=None)
        SocialAccount.objects.filter(user=user).delete()
        SignInPlace.objects.filter(user=user).delete()
        User.objects.filter(pk=user.pk).update(departure=Departure.REMOVED)
        audit.record(None, "person:remove", user.username, about=user)
    user.departure = Departure.REMOVED
