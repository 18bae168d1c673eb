"""Invitations to organisations: send, withdraw, accept, decline."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from registry.kernel import audit, outbox, policy
from registry.kernel.errors import (
    InvitationDeclined,
    InvitationNotFound,
    NamespaceNotFound,
    QuotaExceeded,
    TooOften,
    ValueInvalid,
)
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller
from registry.models import Invitation, Membership, Organization, User
from registry.people import accounts
from registry.people.organizations import organizations

TOLD_AGAIN = timedelta(days=1)  # after which a person is alerted again to an invitation that was withdrawn or forgotten
LEFT_ALONE = timedelta(days=30)  # how long a person who declined is not asked again
MAX_OPEN = 200  # of one organisation
INVITED = timedelta(days=30)  # how long an invitation can be accepted
MAX_A_DAY = 100  # by one person
State = Invitation.State
ANSWERS = (State.DECLINED, State.LEFT, State.REMOVED)  # after which an invitation is news again


def acceptable_invitations() -> QuerySet[Invitation]:
    """Return the invitations that can be accepted: open, not expired, and both people still active and entitled."""
    inviter = Q(by__role=User.Role.ADMIN) | policy.is_by_administrator()
    since = timezone.now() - INVITED
    rows = Invitation.objects.filter(state=Invitation.State.OPEN, asked_at__gt=since, user__is_active=True)
    return rows.filter(inviter, by__is_active=True)


# --- by administrators -----------------------------------------------------------------------------------------------
def add_member(name: str, username: str, role: str, by: Caller) -> Membership:
    """Give a person a role in an organisation, as a new member if they are none yet.

    Only an administrator of the hub can add a person who left or declined lately. Raises ValueInvalid for an unknown
    role, NamespaceNotFound, LastAdministrator, InvitationDeclined, and what organizations.require_administered raises.
    """
    organization = organizations.require_administered(name, by)
    organizations.check_member_role(role)
    user = accounts.get_person(username)
    with organizations.lock_members(organization):
        if not organization.memberships.filter(user=user).exists():
            _check_active(user, username)
            if not policy.is_hub_admin(by):
                _check_willing(organization, user, State.DECLINED, State.LEFT)
        organizations.admit(organization, user, role, by=by.user)
        return organization.memberships.select_related("user").get(user=user)


def invite(name: str, username: str, role: str, by: Caller) -> Invitation:
    """Ask somebody to join an organisation with a role; they are no member before they accept.

    Raises ValueInvalid for an unknown role and for a member, NamespaceNotFound, InvitationDeclined, QuotaExceeded,
    TooOften, and what organizations.require_administered raises.
    """
    organization = organizations.require_administered(name, by)
    organizations.check_member_role(role)
    user = accounts.get_person(username)
    with organizations.lock_members(organization):
        if organization.memberships.filter(user=user).exists():
            raise _member_already(username)
        _check_active(user, username)
        _check_willing(organization, user, State.DECLINED)
        return _invite(organization, user, role, policy.require_administered(by, organization))


def invite_or_add(name: str, username: str, role: str, by: Caller) -> Membership | Invitation:
    """Invite a new person; an administrator of the hub adds them at once. Raises what `invite` and `add_member` raise.

    A member keeps their role: a second invitation is not meant to change it.
    """
    if not policy.is_hub_admin(by):
        return invite(name, username, role, by)
    user = accounts.get_person(username)
    if organizations.require_administered(name, by).memberships.filter(user=user).exists():
        raise _member_already(username)
    return add_member(name, username, role, by)


def _member_already(username: str) -> ValueInvalid:
    return ValueInvalid(f"{username} is already a member.", fix="Change the role in the list of members.")


def _check_active(user: User, name: str) -> None:
    if not user.is_active:
        raise NamespaceNotFound(f"There is no person {name!r}.")


def _check_willing(organization: Organization, user: User, *no: State) -> None:
    since = timezone.now() - LEFT_ALONE
    row = organization.invitations.filter(user=user, state__in=no, answered_at__gt=since).first()
    if row and row.answered_at and row.state == State.LEFT:
        raise InvitationDeclined(f"{user.username} left {organization}.", fix="Send an invitation instead.")
    if row and row.answered_at:
        until = f"{row.answered_at + LEFT_ALONE:%-d %B}"
        raise InvitationDeclined(
            f"{user.username} declined to join {organization}.",
            fix=f"Contact them first; {organization} can invite them again {until}.",
        )


def _invite(organization: Organization, user: User, role: str, by: User) -> Invitation:
    now = timezone.now()
    row = organization.invitations.filter(user=user).first()
    was_open = acceptable_invitations().filter(pk=row.pk).exists() if row else False
    if row and was_open and row.role == role:
        return row
    is_news = row is None or row.state in ANSWERS or row.asked_at <= now - TOLD_AGAIN
    _check_few(organization, by)
    row, before = row or Invitation(organization=organization, user=user), row.role if row and was_open else None
    row.role, row.by, row.state = role, by, State.OPEN  # answered_at stays: links from before that let nobody in
    row.asked_at = now if is_news else row.asked_at
    row.save()
    audit.record(by, "organization:invite", f"{organization}/{user}", about=organization, before=before, after=role)
    if is_news:
        outbox.record(Kind.INVITED, None, by, invitation=row.pk)
    return row


def _check_few(organization: Organization, by: User) -> None:
    if acceptable_invitations().filter(organization=organization).count() >= MAX_OPEN:
        raise QuotaExceeded(f"{organization} has {MAX_OPEN} open invitations, the limit.", fix="Withdraw some first.")
    if Invitation.objects.filter(by=by, asked_at__gt=timezone.now() - TOLD_AGAIN).count() >= MAX_A_DAY:
        raise TooOften(f"You invited {MAX_A_DAY} people today, the limit.", fix="Try again tomorrow.")


def list_sent(name: str, by: Caller) -> QuerySet[Invitation]:
    """Return the open invitations of an organisation by name. Raises what organizations.require_administered raises."""
    organization = organizations.require_administered(name, by, writing=False)
    rows = (
        acceptable_invitations()
        .filter(organization=organization)
        .select_related("user", "by", "organization__namespace")
    )
    return rows.order_by("user__username")


def withdraw(name: str, username: str, by: Caller) -> None:
    """Withdraw an invitation; a no-op if there is none.

    Raises NamespaceNotFound and what organizations.require_administered raises.
    """
    organization, user = organizations.require_administered(name, by), accounts.get_person(username)
    with transaction.atomic():
        rows = organization.invitations.filter(user=user, state=State.OPEN)
        if row := rows.select_for_update().first():
            rows.update(state=State.WITHDRAWN)
            audit.record(
                by.user, "organization:withdraw", f"{organization}/{user}", about=organization, before=row.role
            )


# --- by the invited person --------------------------------------------------------------------------------------------
def list_received(by: Caller) -> QuerySet[Invitation]:
    """Return the caller's own open invitations, the newest first; none if nobody is signed in."""
    rows = acceptable_invitations().filter(user=by.user).select_related("by", "user", "organization__namespace")
    return rows.order_by("-asked_at", "-pk")


def accept(name: str, by: Caller) -> Membership:
    """Become a member with the role of the invitation.

    Raises InvitationNotFound, also where there is no such organisation, and what require_person raises.
    """
    user = policy.require_person(by, "accept an invitation")
    organization = _mine(name, by).organization
    with organizations.lock_members(organization):
        row = _mine(name, by)  # as it is now: it may have been withdrawn while we waited
        if not organization.memberships.filter(user=user).exists():
            organizations.set_member(organization, user, row.role, by=user)
        row.delete()
    return organization.memberships.select_related("user", "organization__namespace").get(user=user)


def decline(name: str, by: Caller) -> None:
    """Decline an invitation; the organisation may not ask again for a while. Raises what `accept` raises."""
    user = policy.require_person(by, "decline an invitation", publishes=False)
    with organizations.lock_members(_mine(name, by).organization):
        row = _mine(name, by)
        Invitation.objects.filter(pk=row.pk).update(state=State.DECLINED, answered_at=timezone.now())
        audit.record(
            user, "organization:decline", f"{row.organization}/{user}", about=row.organization, before=row.role
        )


def _mine(name: str, by: Caller) -> Invitation:
    row = list_received(by).filter(organization__namespace__name__lower=name.lower()).first()
    if row is None:
        raise InvitationNotFound(f"You have no open invitation to {name[:96]!r}.")
    return row
