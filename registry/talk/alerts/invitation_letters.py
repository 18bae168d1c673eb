"""Invitations to an organisation by a link: shown to who makes it, or sent to an address that it then proves."""

from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlsplit

from django.urls import reverse
from django.utils.translation import gettext, gettext_noop

from registry.kernel.policy import Caller
from registry.kernel.texts.links import absolute
from registry.people import addresses
from registry.people.organizations import organization_links
from registry.people.organizations.join_links import Terms
from registry.talk.alerts import letters

SUBJECT = gettext_noop("{by} invites you to {organization}")
LETTER = gettext_noop("""{by} invites you to {organization} on {hub}, a registry of adapters, with the role "{role}".

Open this link within {days} days to accept, with the account you have or a new one:
{link}

If you do not know {by}, ignore this letter: nothing happens then.
""")


@dataclass(frozen=True, slots=True)
class Offer:
    """A new invitation: its link, or the address that a letter with it went to."""

    link: str = ""
    sent_to: str = ""


def address_of(secret: str) -> str:
    """Return the address of the page at which an invitation is accepted."""
    return absolute(f"{reverse('join')}?invitation={secret}")


def secret_of(link: str) -> str:
    """Return the secret of an invitation: of the address of its page, or the text itself."""
    named = parse_qs(urlsplit(link).query).get("invitation") if "?" in link else None
    return named[0] if named else link


def offer(organization: str, terms: Terms, by: Caller) -> Offer:
    """Make a link; send it where the terms name an address and the hub sends letters, return it otherwise.

    A link that was sent proves the address, so the inviter must not see it; one that they see proves nothing. Raises
    what organization_links.create raises.
    """
    addresses.check_email(terms.email)
    if not terms.email or not letters.are_sent():
        shown = replace(terms, email="", note=terms.note or terms.email)
        return Offer(link=address_of(organization_links.create(organization, shown, by)))
    link = address_of(organization_links.create(organization, terms, by))
    words = {"by": by.user, "organization": organization, "hub": absolute(reverse("home")), "role": terms.role}
    subject, text = gettext(SUBJECT).format(**words), gettext(LETTER).format(**words, days=terms.days, link=link)
    letters.send(terms.email, f"[Dovetail] {subject}", text)
    return Offer(sent_to=terms.email)
