"""Links by which strangers join a hub whose registration is by invitation."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from registry.kernel import audit, names, policy
from registry.kernel.errors import InvitationNotFound, ValueInvalid
from registry.kernel.policy import Caller
from registry.models import JoinLink
from registry.people import addresses
from registry.people.tokens import digest

MAX_USES = 1000
MAX_DAYS = 90


@dataclass(frozen=True, slots=True)
class Terms:
    """How many people may join by a link, for how long, where it is sent, and what it is for."""

    uses: int = 1
    days: int = 7
    email: str = ""
    note: str = ""


def create(terms: Terms, by: Caller) -> str:
    """Create a link and return its secret, which nobody can read again. Raises ValueInvalid, and as require_admin."""
    user = policy.require_admin(by)
    if not 1 <= terms.uses <= MAX_USES or not 1 <= terms.days <= MAX_DAYS:
        raise ValueInvalid(
            f"A link for {terms.uses} people and {terms.days} days cannot be made.",
            fix=f"Use 1 to {MAX_USES} people, and 1 to {MAX_DAYS} days.",
        )
    note, email = names.check_text(terms.note, "note", 200), addresses.check_email(terms.email)
    if email and terms.uses > 1:
        raise ValueInvalid("A link that is sent by mail is for one person.", fix="Set the number of people to 1.")
    secret, ends_at = secrets.token_urlsafe(24), timezone.now() + timedelta(days=terms.days)
    with transaction.atomic():
        link = JoinLink.objects.create(
            sha256=digest(secret), note=note, email=email, max_uses=terms.uses, by=user, ends_at=ends_at
        )
        limits = {"people": terms.uses, "days": terms.days}
        audit.record(user, "join-link:create", str(link), after=limits)
    return secret


def list_open(by: Caller) -> QuerySet[JoinLink]:
    """Return the links that still let somebody in, the newest first. Raises what policy.require_admin raises."""
    policy.require_admin(by)
    return _usable().select_related("by").order_by("-pk")


def revoke(number: int, by: Caller) -> None:
    """Delete a link; a no-op if there is none. Raises what policy.require_admin raises."""
    user = policy.require_admin(by)
    with transaction.atomic():
        if link := JoinLink.objects.select_for_update().filter(pk=number).first():
            audit.record(user, "join-link:revoke", str(link), before={"used": link.uses})
            link.delete()


def find(secret: str) -> JoinLink:
    """Return the link with this secret. Raises InvitationNotFound if it is used up, too old or never was."""
    link = _usable().filter(sha256=digest(secret)).first()
    if link is None:
        raise _not_found()
    return link


def use(secret: str) -> JoinLink:
    """Count one person who joins; call it in their transaction. Raises InvitationNotFound, as `find` does."""
    link = find(secret)
    if not _usable().filter(pk=link.pk).update(uses=F("uses") + 1):  # another person was faster
        raise _not_found()
    return link


def _usable() -> QuerySet[JoinLink]:
    return JoinLink.objects.filter(uses__lt=F("max_uses"), ends_at__gt=timezone.now(), by__is_active=True)


def _not_found() -> InvitationNotFound:
    return InvitationNotFound("This invitation has been used, or is too old.", fix="Ask for a new one.")
