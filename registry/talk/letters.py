"""Letters by e-mail, one by one, and the address of an invitation that they hold."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils.module_loading import import_string

from registry.kernel.texts.phrases import absolute


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


def invitation_address(secret: str) -> str:
    """Return the address of the page at which an invitation is accepted."""
    return absolute(f"{reverse('join')}?invitation={secret}")


def invitation_secret(link: str) -> str:
    """Return the secret of an invitation: of the address of its page, or the text itself."""
    named = parse_qs(urlsplit(link).query).get("invitation") if "?" in link else None
    return named[0] if named else link
