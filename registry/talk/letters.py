"""Letters about a person's own account: sent at once, one by one, by a worker."""

from collections.abc import Callable

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.module_loading import import_string


def send(to: str, subject: str, text: str) -> None:
    """Hand a letter to the workers; without a mail server none is sent. No request waits for a mail server."""
    if settings.MAIL_FROM and to:
        letterbox: Callable[[str, str, str], object] = import_string(settings.LETTERBOX)
        letterbox(to, " ".join(subject.split()), text)


def deliver(to: str, subject: str, text: str) -> None:
    """Give a letter to the mail server. Raises SMTPException, OSError."""
    headers = {"Auto-Submitted": "auto-generated"}
    EmailMessage(subject, text, settings.MAIL_FROM, [to], headers=headers).send()
