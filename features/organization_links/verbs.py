"""Links by which people become members of an organisation: made or sent, withdrawn by its administrators, accepted."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from registry.kernel import audit, policy
from registry.kernel.errors import NameTaken, QuotaExceeded, SessionRequired, TooOften
from registry.kernel.policy import Caller
from registry.kernel.texts.phrases import absolute
from registry.models import Invitation, JoinLink, Membership, Organization, User
from registry.people import accounts, profiles
from registry.people.organizations import join_links, organizations
from registry.people.organizations.join_links import Terms
from registry.talk import letters

MAX_OPEN = 100  # of one organisation
MAX_LETTERS = 100  # of one person within a day
INVITED = gettext_noop("{by} invites you to {organization}")
INVITING = gettext_noop("""{by} invites you to {organization} on {hub}, a registry of adapters, with the role "{role}".

Open this link within {days} days to accept, with your existing account or a new one:
{link}

If you do not know {by}, you can ignore this message.
""")


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
        raise QuotaExceeded(f"{organization} has {MAX_OPEN} open links, the limit.", fix="Withdraw some first.")
    since = timezone.now() - timedelta(days=1)
    sent = JoinLink.objects.filter(by=user, created_at__gt=since, organization__isnull=False).exclude(email="")
    if terms.email and sent.count() >= MAX_LETTERS:
        raise TooOften(f"You sent {MAX_LETTERS} invitations by e-mail today, the limit.", fix="Try again tomorrow.")


@dataclass(frozen=True, slots=True)
class Offer:
    """A new invitation: its link, or the address that a letter with it went to."""

    link: str = ""
    sent_to: str = ""


def offer(organization: str, terms: Terms, by: Caller) -> Offer:
    """Make a link; send it where the terms name an address and the hub sends letters, return it otherwise.

    A link that was sent proves the address, so the inviter must not see it; one that they see proves nothing. Raises
    what create raises.
    """
    profiles.check_email(terms.email)
    if not terms.email or not letters.are_sent():
        shown = replace(terms, email="", note=terms.note or terms.email)
        return Offer(link=letters.invitation_address(create(organization, shown, by)))
    link = letters.invitation_address(create(organization, terms, by))
    words = {"by": by.user, "organization": organization, "hub": absolute(reverse("home")), "role": terms.role}
    subject, text = gettext(INVITED).format(**words), gettext(INVITING).format(**words, days=terms.days, link=link)
    letters.send(terms.email, f"[Dovetail] {subject}", text)
    return Offer(sent_to=terms.email)


def list_open(name: str, by: Caller) -> QuerySet[JoinLink]:
    """Return the links that still let somebody in, the newest first. Raises what require_administered raises."""
    organization = organizations.require_administered(name, by, writing=False)
    return join_links.usable().filter(organization=organization).select_related("by").order_by("-pk")


def withdraw(name: str, number: int, by: Caller) -> None:
    """End a link of the organisation; a no-op if there is none. Raises what require_administered raises."""
    organization = organizations.require_administered(name, by)
    user = policy.require_person(by, "withdraw invitations", publishes=False)
    join_links.end(JoinLink.objects.filter(pk=number, organization=organization), user)


def find(secret: str) -> JoinLink | None:
    """Return the link to an organisation with this secret, None if it ended or never was."""
    link = join_links.with_secret(secret)
    return link if link and link.organization else None


def accept(secret: str, by: Caller) -> Organization:
    """Make the caller a member by a link; who is one already keeps their role, and the link is not used.

    Raises InvitationNotFound, also for a person whose membership ended after the link was made, SignInRequired,
    SessionRequired.
    """
    user = policy.require_person(by, "join an organisation", publishes=False)
    if by.token is not None or user.is_machine:
        raise SessionRequired("Joining an organisation by link requires a browser session.")
    link = find(secret)
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
    link = find(secret)
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
