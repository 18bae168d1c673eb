"""Letters about a person's own account: sent at once, one by one, by a worker."""

from collections.abc import Callable

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils.module_loading import import_string

from registry.kernel.texts.links import absolute

ADDRESS_CHANGED = """The e-mail address of {name} on {hub} {news}. This letter goes to the old one, {former}.

If it was not you: set a new password, then end the other sessions and look at your tokens.
{security_page}
If you cannot sign in any more, write to the administrators of this hub.
"""


def are_sent() -> bool:
    """Return whether this hub sends letters."""
    return bool(settings.MAIL_FROM)


def send(to: str, subject: str, text: str) -> None:
    """Hand a letter to the workers; without a mail server none is sent. No request waits for a mail server."""
    if are_sent() and to:
        letterbox: Callable[[str, str, str], object] = import_string(settings.LETTERBOX)
        letterbox(to, " ".join(subject.split()), text)


def send_address_changed(former: str, name: str, address: str) -> None:
    """Tell a former address of a person that it is theirs no more; `address` is the new one, "" for none."""
    news = f"is {address} now" if address else "was removed"
    words = {"name": name, "hub": settings.PUBLIC_URL, "news": news, "former": former}
    text = ADDRESS_CHANGED.format(**words, security_page=absolute(reverse("security")))
    send(former, "[Dovetail] Your address was changed", text)


def deliver(to: str, subject: str, text: str) -> None:
    """Give a letter to the mail server. Raises SMTPException, OSError."""
    headers = {"Auto-Submitted": "auto-generated"}
    EmailMessage(subject, text, settings.MAIL_FROM, [to], headers=headers).send()
