"""Letters by e-mail, one by one: sending them, and invitations to an organisation by a link."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils.module_loading import import_string
from django.utils.translation import gettext, gettext_noop

from registry.kernel.policy import Caller
from registry.kernel.texts.phrases import absolute
from registry.people import profiles
from registry.people.organizations import organization_links
from registry.people.organizations.join_links import Terms

INVITED = gettext_noop("{by} invites you to {organization}")
INVITING = gettext_noop("""{by} invites you to {organization} on {hub}, a registry of adapters, with the role "{role}".

Open this link within {days} days to accept, with the account you have or a new one:
{link}

If you do not know {by}, ignore this letter: nothing happens then.
""")


def are_sent() -> bool:
    """Return whether this hub sends letters."""
    return bool(settings.MAIL_FROM)


def send(to: str, subject: str, text: str) -> None:
    """Hand a letter to the workers; without a mail server none is sent. No request waits for a mail server."""
    if are_sent() and to:
        letterbox: Callable[[str, str, str], object] = import_string(settings.LETTERBOX)
        letterbox(to, " ".join(subject.split()), text)


def deliver(to: str, subject: str, text: str) -> None:
    """Give a letter to the mail server. Raises SMTPException, OSError."""
    headers = {"Auto-Submitted": "auto-generated"}
    EmailMessage(subject, text, settings.MAIL_FROM, [to], headers=headers).send()


@dataclass(frozen=True, slots=True)
class Offer:
    """A new invitation: its link, or the address that a letter with it went to."""

    link: str = ""
    sent_to: str = ""


def invitation_address(secret: str) -> str:
    """Return the address of the page at which an invitation is accepted."""
    return absolute(f"{reverse('join')}?invitation={secret}")


def invitation_secret(link: str) -> str:
    """Return the secret of an invitation: of the address of its page, or the text itself."""
    named = parse_qs(urlsplit(link).query).get("invitation") if "?" in link else None
    return named[0] if named else link


def offer_invitation(organization: str, terms: Terms, by: Caller) -> Offer:
    """Make a link; send it where the terms name an address and the hub sends letters, return it otherwise.

    A link that was sent proves the address, so the inviter must not see it; one that they see proves nothing. Raises
    what organization_links.create raises.
    """
    profiles.check_email(terms.email)
    if not terms.email or not are_sent():
        shown = replace(terms, email="", note=terms.note or terms.email)
        return Offer(link=invitation_address(organization_links.create(organization, shown, by)))
    link = invitation_address(organization_links.create(organization, terms, by))
    words = {"by": by.user, "organization": organization, "hub": absolute(reverse("home")), "role": terms.role}
    subject, text = gettext(INVITED).format(**words), gettext(INVITING).format(**words, days=terms.days, link=link)
    send(terms.email, f"[Dovetail] {subject}", text)
    return Offer(sent_to=terms.email)
