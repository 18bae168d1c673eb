"""Links by which people join a hub whose registration is by invitation; the mechanism of organisations' links too."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from registry.kernel import audit, policy
from registry.kernel.errors import InvitationNotFound, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import JoinLink, Organization, User
from registry.people import profiles
from registry.people.tokens.tokens import digest

MAX_USES = 1000
MAX_DAYS = 90


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a link: people and days, the address it is sent to, a note, and the role that it gives."""

    uses: int = 1
    days: int = 7
    email: str = ""
    note: str = ""
    role: str = ""  # in an organisation; empty for the hub


def create(terms: Terms, by: Caller) -> str:
    """Create a link to the hub and return its secret, which nobody can read again.

    Raises ValueInvalid and what policy.require_admin raises.
    """
    return store(terms, policy.require_admin(by), None)


def store(terms: Terms, by: User, organization: Organization | None) -> str:
    """Store the digest of a new link to the hub or an organisation, and return its secret. Raises ValueInvalid."""
    if not 1 <= terms.uses <= MAX_USES or not 1 <= terms.days <= MAX_DAYS:
        raise ValueInvalid(
            f"A link for {terms.uses} people and {terms.days} days is not allowed.",
            fix=f"Use 1 to {MAX_USES} people, and 1 to {MAX_DAYS} days.",
        )
    note, email = names.check_text(terms.note, "note", 200), profiles.check_email(terms.email)
    if email and terms.uses > 1:
        raise ValueInvalid("A link sent by e-mail is for one person.", fix="Set the number of people to 1.")
    secret, ends_at = secrets.token_urlsafe(24), timezone.now() + timedelta(days=terms.days)
    with transaction.atomic():
        link = JoinLink.objects.create(
            organization=organization,
            role=terms.role,
            sha256=digest(secret),
            note=note,
            email=email,
            max_uses=terms.uses,
            by=by,
            ends_at=ends_at,
        )
        limits = {"people": terms.uses, "days": terms.days} | ({"role": terms.role} if organization else {})
        audit.record(by, "join-link:create", describe(link), about=organization, after=limits)
    return secret


def list_open(by: Caller) -> QuerySet[JoinLink]:
    """Return the links to the hub that still let somebody in, the newest first. Raises as policy.require_admin does."""
    policy.require_admin(by)
    return usable().filter(organization=None).select_related("by").order_by("-pk")


def revoke(number: int, by: Caller) -> None:
    """End a link to the hub; a no-op if there is none. Raises what policy.require_admin raises."""
    user = policy.require_admin(by)
    end(JoinLink.objects.filter(pk=number, organization=None), user)


def end(links: QuerySet[JoinLink], by: User) -> None:
    """End these links, each with an entry in the log; those that have ended already stay as they are."""
    with transaction.atomic():
        for link in links.filter(ends_at__gt=timezone.now()).select_for_update(of=("self",)):
            JoinLink.objects.filter(pk=link.pk).update(ends_at=timezone.now())
            audit.record(by, "join-link:revoke", describe(link), about=link.organization, before={"used": link.uses})


def find(secret: str) -> JoinLink:
    """Return the link to the hub with this secret. Raises InvitationNotFound if it ended or never was."""
    link = with_secret(secret)
    if link is None or link.organization is not None:
        raise not_found()
    return link


def with_secret(secret: str) -> JoinLink | None:
    """Return the link to the hub or an organisation with this secret, None if it ended or never was."""
    # The secret has 192 random bits and is looked up by its digest: how long that takes tells nothing of the secret.
    rows = usable().select_related("organization__namespace", "by")
    return rows.filter(sha256=digest(secret)).first() if secret else None


def use(link: JoinLink) -> None:
    """Count one person who joins; call it in their transaction. Raises InvitationNotFound if another was faster."""
    if not usable().filter(pk=link.pk).update(uses=F("uses") + 1):
        raise not_found()


def usable() -> QuerySet[JoinLink]:
    """Return the links that still let somebody in: not used up, not ended, and made by who may still make them."""
    hub_admin = Q(by__role=User.Role.ADMIN)
    entitled = hub_admin | Q(organization__isnull=False) & policy.is_by_administrator()
    return JoinLink.objects.filter(entitled, uses__lt=F("max_uses"), ends_at__gt=timezone.now(), by__is_active=True)


def describe(link: JoinLink) -> str:
    """Return how the log names a link."""
    return f"{link.organization}: {link}" if link.organization else str(link)


def not_found() -> InvitationNotFound:
    """Return the one refusal for a link that was used, has ended, was withdrawn, or never was."""
    return InvitationNotFound("This invitation has been used or has expired.", fix="Ask for a new one.")
