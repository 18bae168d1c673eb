"""One e-mail with alerts, as text and as HTML, with the headers by which a mail program unsubscribes (RFC 8058)."""

from collections.abc import Sequence
from itertools import groupby

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from registry.kernel.texts.links import absolute
from registry.models import Alert, Topic, User
from registry.proof import proofs
from registry.talk.alerts import notices, topics, unsubscribing

MAX_LINES = 50  # alerts in one message
Line = dict[str, str]


def compose(user: User, due: Sequence[Alert], *, is_digest: bool = False) -> EmailMultiAlternatives:
    """Return the message about these alerts, which are of one sort (Alert.mail)."""
    switchable = sorted({Topic(alert.topic) for alert in due if not topics.RULES[Topic(alert.topic)].is_mandatory})
    leave = absolute(reverse("unsubscribe", args=[unsubscribing.sign(user, switchable)])) if switchable else ""
    subject = _digest_subject(due) if is_digest else _subject(due)
    context = {
        "subject": subject,
        "groups": _groups(due[:MAX_LINES]),
        "left": max(0, len(due) - MAX_LINES),
        "topics": ", ".join(topics.RULES[topic].label for topic in switchable),
        "unsubscribe": leave,
        "page": absolute(reverse("notifications")),
        "settings": absolute(reverse("notification-settings")),
        "hub": absolute(reverse("home")),
        "name": user.full_name or user.username,
    }
    headers = {"Auto-Submitted": "auto-generated"}
    if leave:
        headers |= {"List-Unsubscribe": f"<{leave}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    text = render_to_string("mail/alerts.txt", context)
    message = EmailMultiAlternatives(f"[Dovetail] {subject}", text, settings.MAIL_FROM, [user.email], headers=headers)
    message.attach_alternative(render_to_string("mail/alerts.html", context), "text/html")
    return message


def _groups(due: Sequence[Alert]) -> list[tuple[str, list[Line]]]:
    """Return the lines of the message under the labels of their topics, in the order of the settings page."""
    order = list(topics.RULES)
    rows = sorted(due, key=lambda alert: order.index(Topic(alert.topic)))
    return [
        (topics.RULES[Topic(topic)].label, [_line(alert) for alert in group])
        for topic, group in groupby(rows, key=lambda alert: alert.topic)
    ]


def _line(alert: Alert) -> Line:
    check, message = proofs.refusal(alert.verdict.report) if alert.verdict else ("", "")
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
        return one if len(due) == 1 else f"{len(due)} things that concern you"
    return f"{next(iter(names))} did not pass" if len(names) == 1 else f"{len(names)} of your adapters did not pass"


def _digest_subject(due: Sequence[Alert]) -> str:
    names = list(dict.fromkeys(notices.subject(alert) for alert in due))
    return f"News of {names[0]}" if len(names) == 1 else f"News of {names[0]} and {len(names) - 1} more"
