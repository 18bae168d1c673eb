"""Alerts by e-mail: one message with all unsent alerts of a person, at most one an hour."""

import logging
import smtplib
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Max
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from registry.kernel.links import absolute
from registry.models import Alert, User
from registry.proof import proofs
from registry.talk import alerts

logger = logging.getLogger(__name__)

QUIET = timedelta(minutes=2)  # a message is sent when no new alert has come for this time
PAUSE = timedelta(hours=1)  # between two messages to one person
MAX_LINES = 50
KEPT_DAYS = 90


def send_due() -> int:
    """Send one message to each person with unsent alerts; return the number of messages.

    A message waits while new alerts come, so that the verdicts of many adapters are one message.
    """
    Alert.objects.filter(created_at__lt=Now() - timedelta(days=KEPT_DAYS)).delete()
    if not settings.MAIL_FROM:
        return 0
    waiting = Alert.objects.filter(mailed_at__isnull=True).values("user")
    readers = User.objects.filter(pk__in=waiting, is_active=True, mail_alerts=True).exclude(email="")
    return sum(map(_send, readers))


def _send(user: User) -> bool:
    now = timezone.now()
    mine = Alert.objects.filter(user=user)
    last = mine.aggregate(mailed=Max("mailed_at"), made=Max("created_at"))
    if (last["mailed"] and last["mailed"] > now - PAUSE) or last["made"] > now - QUIET:
        return False
    due = list(alerts.of(user).filter(mailed_at__isnull=True))
    pending = mine.filter(mailed_at__isnull=True)
    if not pending.filter(pk__lte=max([alert.pk for alert in due], default=0)).update(mailed_at=now):
        pending.update(mailed_at=now)  # the person may no longer see any of them
        return False
    try:
        return bool(_message(user, due).send())
    except (smtplib.SMTPException, OSError) as problem:
        logger.warning("An e-mail could not be sent: %s", problem, extra={"user": user.username})
        mine.filter(pk__in=[alert.pk for alert in due]).update(mailed_at=None)
        return False


def _message(user: User, due: Sequence[Alert]) -> EmailMessage:
    settings_page = absolute(reverse("notifications"))
    lines = [line for alert in due[:MAX_LINES] for line in _lines(alert)]
    if len(due) > MAX_LINES:
        lines += [f"… and {len(due) - MAX_LINES} more: {settings_page}", ""]
    lines.append(f"Turn these e-mails off: {settings_page}")
    headers = {
        "Auto-Submitted": "auto-generated",
        "List-Unsubscribe": f"<{settings_page}>",
    }
    sender, subject = settings.MAIL_FROM, f"[Dovetail] {_subject(due)}"
    return EmailMessage(subject, "\n".join(lines), sender, [user.email], headers=headers)


def _subject(due: Sequence[Alert]) -> str:
    """Return the alert as a sentence if there is one; a title has no line ends, so it cannot break the header."""
    adapters = {alerts.subject(alert) for alert in due}
    if any(alert.verdict is None for alert in due):
        return alerts.sentence(due[0])[:150] if len(due) == 1 else f"{len(due)} things that concern you"
    return (
        f"{next(iter(adapters))} did not pass"
        if len(adapters) == 1
        else f"{len(adapters)} of your adapters did not pass"
    )


def _lines(alert: Alert) -> list[str]:
    check, message = proofs.refusal(alert.verdict.report) if alert.verdict else ("", "")
    lines = [alerts.sentence(alert), *([f"  {check}: {message[:300]}"] if check else [])]
    return [*lines, f"  {absolute(alerts.address(alert))}", ""]
