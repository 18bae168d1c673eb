"""Alerts by e-mail: at once, in one message an hour at most, or in a daily digest; with bounded attempts.

Alert.mail says which. A message is claimed by a conditional UPDATE before it is sent, so that two workers never send it
twice. Where the mail server refuses it, its alerts wait longer after each attempt, and then are given up.
"""

import logging
import smtplib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import F, Max, Q, QuerySet
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from features.notify import alerts, notices, preferences
from features.notify.models import Alert, Topic
from registry.kernel.texts.phrases import absolute
from registry.models import User
from registry.proof import reports
from registry.talk import letters

logger = logging.getLogger(__name__)

QUIET = timedelta(minutes=2)  # a message is sent when no new alert has come for this time
PAUSE = timedelta(hours=1)  # between two messages to one person
PAUSES = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=12))  # after each failure
MAX_LINES = 50  # alerts in one message
AT_ONCE = 500  # messages of each sort in one run; the next run goes on
KEPT_DAYS = 90
Mail = Alert.Mail
ADDRESS_CHANGED = """The e-mail address of {name} on {hub} {news}. This message was sent to the old address, {former}.

If this was not you, set a new password, end the other sessions and review your tokens:
{security_page}
If you can no longer sign in, write to the administrators of this hub.
"""
Line = dict[str, str]


def send_due() -> int:
    """Send the messages that are due: mandatory ones, those at once, and digests; return their number.

    A message at once waits while new alerts come, so that the verdicts of many adapters are one message.
    """
    Alert.objects.filter(created_at__lt=Now() - timedelta(days=KEPT_DAYS)).delete()
    if not settings.MAIL_FROM:
        return 0
    sent = 0
    for mail, send in SENDERS.items():
        readers = User.objects.filter(preferences.reachable(), pk__in=_waiting(mail).values("user"))
        if mail != Mail.ALWAYS:
            readers = readers.filter(mail_alerts=True)
        if mail == Mail.DIGEST:
            readers = readers.filter(_is_due(timezone.now()))
        sent += sum(map(send, readers.order_by("pk")[:AT_ONCE]))
    return sent


def _waiting(mail: str) -> QuerySet[Alert]:
    """Return the alerts that can be sent this way now."""
    return Alert.objects.filter(mail=mail, mailed_at__isnull=True, mail_due_at__lte=timezone.now())


# --- the three sorts -------------------------------------------------------------------------------------------------
def _send_always(user: User) -> bool:
    return _send(user, _waiting(Mail.ALWAYS).filter(user=user))


def _send_now(user: User) -> bool:
    """Send what waits, unless more may come, or a message was sent within PAUSE."""
    now = timezone.now()
    mine = Alert.objects.filter(user=user, mail=Mail.NOW)
    last = mine.aggregate(mailed=Max("mailed_at"), made=Max("created_at"))
    if (last["mailed"] and last["mailed"] > now - PAUSE) or (last["made"] and last["made"] > now - QUIET):
        return False
    return _send(user, _waiting(Mail.NOW).filter(user=user))


def _send_digest(user: User) -> bool:
    """Send the digest of a person if it is due: claimed once a day by its column, and never empty."""
    now = timezone.now()
    last = _last_hour(now, user.digest_hour)
    mine = _waiting(Mail.DIGEST).filter(user=user)
    if not alerts.of(user).filter(pk__in=mine, created_at__lt=last).exists():
        return False  # what came since then does not start one before the next hour
    if not User.objects.filter(_is_due(now), pk=user.pk).update(digested_at=now):
        return False  # another worker sends it
    return _send(user, mine, is_digest=True)


def _last_hour(now: datetime, hour: int) -> datetime:
    """Return when that hour of UTC last began."""
    today = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)


def _is_due(now: datetime) -> Q:
    """Return the condition that a person's hour has come since the last digest."""
    due = Q(digested_at__isnull=True)
    for hour in preferences.HOURS:
        due |= Q(digest_hour=hour, digested_at__lt=_last_hour(now, hour))
    return due


SENDERS: dict[str, Callable[[User], bool]] = {
    Mail.ALWAYS: _send_always,
    Mail.NOW: _send_now,
    Mail.DIGEST: _send_digest,
}


# --- one message -----------------------------------------------------------------------------------------------------
def _send(user: User, waiting: QuerySet[Alert], *, is_digest: bool = False) -> bool:
    """Claim these alerts and send one message with those that the person may still see; return whether it was sent."""
    due = list(alerts.of(user).filter(pk__in=waiting))
    claimed = waiting.filter(pk__lte=max([alert.pk for alert in due], default=0))
    pending = Alert.objects.filter(pk__in=list((claimed if due else waiting).values_list("pk", flat=True)))
    if not pending.filter(mailed_at__isnull=True).update(mailed_at=timezone.now()) or not due:
        return False  # another worker sends them, or the person may no longer see any of them
    try:
        return bool(_compose(user, due, is_digest=is_digest).send())
    except (smtplib.SMTPException, OSError) as problem:
        logger.warning("An e-mail could not be sent: %s", problem, extra={"user": user.username})
        _put_off(due, user, is_digest=is_digest)
        return False


def _put_off(due: Sequence[Alert], user: User, *, is_digest: bool) -> None:
    """Let the alerts of a failed message wait for the next attempt; those without one stay on the website alone."""
    now, rows = timezone.now(), Alert.objects.filter(pk__in=[alert.pk for alert in due])
    for attempt, pause in reversed(list(enumerate(PAUSES))):  # backwards, so that no row is counted twice
        rows.filter(mail_attempts=attempt).update(
            mailed_at=None, mail_attempts=F("mail_attempts") + 1, mail_due_at=now + pause
        )
    given_up = rows.filter(mail_attempts__gte=len(PAUSES), mailed_at__isnull=False)
    if given_up.exists():
        logger.error("Alerts were not sent by e-mail", extra={"user": user.username, "alerts": len(due)})
    if is_digest:
        User.objects.filter(pk=user.pk).update(digested_at=user.digested_at)


# --- its text --------------------------------------------------------------------------------------------------------
def _compose(user: User, due: Sequence[Alert], *, is_digest: bool = False) -> EmailMultiAlternatives:
    """Return the message about these alerts, which are of one sort, with headers to unsubscribe by (RFC 8058)."""
    switchable = sorted({Topic(alert.topic) for alert in due if not preferences.RULES[Topic(alert.topic)].is_mandatory})
    leave = absolute(reverse("unsubscribe", args=[preferences.sign(user, switchable)])) if switchable else ""
    subject = _digest_subject(due) if is_digest else _subject(due)
    context = {
        "subject": subject,
        "groups": _groups(due[:MAX_LINES]),
        "left": max(0, len(due) - MAX_LINES),
        "topics": ", ".join(preferences.RULES[topic].label for topic in switchable),
        "unsubscribe": leave,
        "page": absolute(reverse("notifications")),
        "settings": absolute(reverse("notification-settings")),
        "hub": absolute(reverse("home")),
        "name": user.full_name or user.username,
    }
    headers = {"Auto-Submitted": "auto-generated"}
    if leave:
        headers |= {"List-Unsubscribe": f"<{leave}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    text = render_to_string("notify/mail.txt", context)
    message = EmailMultiAlternatives(f"[Dovetail] {subject}", text, settings.MAIL_FROM, [user.email], headers=headers)
    message.attach_alternative(render_to_string("notify/mail.html", context), "text/html")
    return message


def _groups(due: Sequence[Alert]) -> list[tuple[str, list[Line]]]:
    """Return the lines of the message under the labels of their topics, in the order of the settings page."""
    order = list(preferences.RULES)
    rows = sorted(due, key=lambda alert: order.index(Topic(alert.topic)))
    return [
        (preferences.RULES[Topic(topic)].label, [_line(alert) for alert in group])
        for topic, group in groupby(rows, key=lambda alert: alert.topic)
    ]


def _line(alert: Alert) -> Line:
    check, message = reports.refusal(alert.verdict.report) if alert.verdict else ("", "")
    return {
        "sentence": " ".join(notices.sentence(alert).split()),  # reasons have lines, which could look like our own
        "check": check,
        "message": message[:300],
        "why": notices.why(alert),
        "address": absolute(notices.address(alert)),
    }


def _subject(due: Sequence[Alert]) -> str:
    """Return the alert as a sentence if there is one; a title has no line ends, so it cannot break the header."""
    names = {notices.subject(alert) for alert in due}
    if any(alert.kind != Alert.Kind.VERDICT or alert.topic != Topic.OWN for alert in due):
        one = " ".join(notices.sentence(due[0]).split())[:150]
        return one if len(due) == 1 else f"{len(due)} new notifications"
    return f"{next(iter(names))} did not pass" if len(names) == 1 else f"{len(names)} of your adapters did not pass"


def _digest_subject(due: Sequence[Alert]) -> str:
    names = list(dict.fromkeys(notices.subject(alert) for alert in due))
    return f"News of {names[0]}" if len(names) == 1 else f"News of {names[0]} and {len(names) - 1} more"


# --- a letter of its own ---------------------------------------------------------------------------------------------
def send_address_changed(former: str, name: str, address: str) -> None:
    """Tell a former address of a person that it is theirs no more; `address` is the new one, "" for none."""
    news = f"is now {address}" if address else "was removed"
    words = {"name": name, "hub": settings.PUBLIC_URL, "news": news, "former": former}
    text = ADDRESS_CHANGED.format(**words, security_page=absolute(reverse("security")))
    letters.send(former, "[Dovetail] Your address was changed", text)
