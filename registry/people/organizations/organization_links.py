"""Links by which people become members of an organisation: made and withdrawn by its administrators, and accepted."""

from contextlib import suppress
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.kernel import audit, policy
from registry.kernel.errors import NameTaken, QuotaExceeded, SessionRequired, TooOften
from registry.kernel.policy import Caller
from registry.models import Invitation, JoinLink, Membership, Organization, User
from registry.people import accounts, profiles
from registry.people.organizations import join_links, organizations
from registry.people.organizations.join_links import Terms

MAX_OPEN = 100  # of one organisation
MAX_LETTERS = 100  # of one person within a day


def create(name: str, terms: Terms, by: Caller) -> str:
    """Create a link and return its secret, which nobody can read again.

    Raises ValueInvalid, QuotaExceeded, TooOften, EmailUnverified and what require_administered raises.
    """
    organization = organizations.require_administered(name, by)
    user = policy.require_person(by, "invite people")
    organizations.check_member_role(terms.role)
    with organizations.lock_organization(organization):  # the limits are counted, then the link is stored
        _check_few(organization, user, terms)
        return join_links.store(terms, user, organization)


def _check_few(organization: Organization, user: User, terms: Terms) -> None:
    if join_links.usable().filter(organization=organization).count() >= MAX_OPEN:
        raise QuotaExceeded(f"{organization} has {MAX_OPEN} open links.", fix="Withdraw some first.")
    since = timezone.now() - timedelta(days=1)
    letters = JoinLink.objects.filter(by=user, created_at__gt=since, organization__isnull=False).exclude(email="")
    if terms.email and letters.count() >= MAX_LETTERS:
        raise TooOften(f"You sent {MAX_LETTERS} invitations by mail within a day.", fix="Go on tomorrow.")


def list_open(name: str, by: Caller) -> QuerySet[JoinLink]:
    """Return the links that still let somebody in, the newest first. Raises what require_administered raises."""
    organization = organizations.require_administered(name, by, writing=False)
    return join_links.usable().filter(organization=organization).select_related("by").order_by("-pk")


def withdraw(name: str, number: int, by: Caller) -> None:
    """End a link of the organisation; a no-op if there is none. Raises what require_administered raises."""
    organization = organizations.require_administered(name, by)
    user = policy.require_person(by, "withdraw invitations", publishes=False)
    join_links.end(JoinLink.objects.filter(pk=number, organization=organization), user)


def accept(secret: str, by: Caller) -> Organization:
    """Make the caller a member by a link; who is one already keeps their role, and the link is not used.

    Raises InvitationNotFound, also for a person whose membership ended after the link was made, SignInRequired,
    SessionRequired.
    """
    user = policy.require_person(by, "join an organisation", publishes=False)
    if by.token is not None or user.is_machine:
        raise SessionRequired("People join an organisation by a link in a browser session.")
    link = join_links.find_of_organization(secret)
    if link is None or link.organization is None:
        raise join_links.not_found()
    with organizations.lock_members(link.organization):
        _prove_address(user, link)
        if not link.organization.memberships.filter(user=user).exists():
            _refuse_former_member(link, link.organization, user)
            _join(link, link.organization, user)
    return link.organization


def _refuse_former_member(link: JoinLink, organization: Organization, user: User) -> None:
    """Raise InvitationNotFound for a person who left or was removed since the link was made.

    They know links from their time, whose roles may be stronger than the one that they lost.
    """
    ended = organization.invitations.filter(user=user, answered_at__gt=link.created_at)
    if ended.exclude(state=Invitation.State.DECLINED).exists():
        raise join_links.not_found()


def register(secret: str, username: str, *, email: str, password: str) -> tuple[User, Organization]:
    """Create an account by a link, and make the person a member at once. Raises what accounts.register raises."""
    link = join_links.find_of_organization(secret)
    if link is None or link.organization is None:
        raise join_links.not_found()
    with transaction.atomic():
        user = accounts.register(username, email=email, password=password, link=link)
        with organizations.lock_members(link.organization):
            _join(link, link.organization, user)
    return user, link.organization


def _join(link: JoinLink, organization: Organization, user: User) -> None:
    join_links.use(link)
    organizations.admit(organization, user, link.role, by=user)
    terms = {"role": link.role, "link": link.pk, "by": link.by.username}
    audit.record(user, "join-link:use", f"{organization}/{user}", about=organization, after=terms)


def _prove_address(user: User, link: JoinLink) -> None:
    """Note that the person reads the address to which the link was sent, unless another account has proven it."""
    if link.email and not user.email_verified and user.email.lower() == link.email.lower():
        with suppress(NameTaken), transaction.atomic():
            profiles.set_address(user, user.email, verified=True, by=user)


def is_member(link: JoinLink, by: Caller) -> bool:
    """Return whether the caller is in the organisation of the link already."""
    return Membership.objects.filter(organization=link.organization, user=by.user).exists()
