"""A person's notifications: the list, marking it as read, how each topic reaches them, and the end of e-mails."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub.site import paging
from hub.site.forms import posted
from hub.site.forms.account.notifications import Channels, Filter, Mail, MarkRead
from hub.site.visitor import person
from registry.models import Alert, User
from registry.proof.reports import refusal
from registry.talk import social, watching
from registry.talk.alerts import alerts, notices, topics

LISTED = 50
FOLLOWED_LISTED = 100


@require_safe
def notifications(request: HttpRequest) -> HttpResponse:
    """List them in groups by day, newest first; of one topic or unread alone if the address says so."""
    user, chosen = person(request), _filter(request)
    rows = alerts.of(user)
    if chosen["topic"]:
        rows = rows.filter(topic=chosen["topic"])
    if chosen["unread"]:
        rows = rows.filter(read_at__isnull=True)
    page, older = paging.older(request, rows, LISTED)
    context = {
        "groups": _groups(page),
        "newest": page[0].pk if page else 0,
        "older": _address(chosen, before=older) if older else "",
        "unread": alerts.unread(user),
        "chosen": chosen,
        "filters": _filters(user, chosen),
    }
    return render(request, "site/notifications.html", context)


def _filter(request: HttpRequest) -> dict[str, Any]:
    """Return the chosen filter; one that is unknown counts as none."""
    form = Filter(request.GET)
    form.full_clean()
    return {"topic": form.cleaned_data.get("topic", ""), "unread": form.cleaned_data.get("unread", False)}


def _address(chosen: dict[str, Any], **more: object) -> str:
    named = {name: "1" if value is True else value for name, value in {**chosen, **more}.items() if value}
    return reverse("notifications") + (f"?{urlencode(named)}" if named else "")


def _filters(user: User, chosen: dict[str, Any]) -> list[tuple[str, str, bool, bool]]:
    """Return the filters as (label, address, whether it is chosen, whether something of it is not read)."""
    news = alerts.unread_topics(user)
    rows = [
        (gettext("All"), _address({}), not chosen["topic"] and not chosen["unread"], False),
        (gettext("Not read"), _address({**chosen, "unread": not chosen["unread"]}), chosen["unread"], False),
    ]
    known = {*news, *Alert.objects.filter(user=user).order_by().values_list("topic", flat=True).distinct()}
    for topic, rule in topics.RULES.items():
        if topic in known or topic == chosen["topic"]:
            is_chosen = topic == chosen["topic"]
            address = _address({**chosen, "topic": "" if is_chosen else topic.value})
            rows.append((gettext(rule.label), address, is_chosen, topic in news))
    return rows


def _groups(page: Iterable[Alert]) -> list[tuple[str, list[dict[str, Any]]]]:
    today = timezone.now().date()

    def day(alert: Alert) -> str:
        age = (today - alert.created_at.date()).days
        labels = ((1, gettext("Today")), (2, gettext("Yesterday")), (7, gettext("This week")))
        return next((label for days, label in labels if age < days), gettext("Earlier"))

    return [(label, [_row(alert) for alert in rows]) for label, rows in groupby(page, key=day)]


def _row(alert: Alert) -> dict[str, Any]:
    check, message = refusal(alert.verdict.report) if alert.verdict else ("", "")
    return {
        "alert": alert,
        "address": alerts.address(alert),
        "subject": alerts.subject(alert),
        "sentence": alerts.sentence(alert),
        "why": notices.why(alert),
        "check": check,
        "message": message,
    }


@require_POST
def read(request: HttpRequest) -> HttpResponse:
    """Mark all up to one as read, of one topic if the form names it."""
    user, form = person(request), MarkRead(request.POST)
    if not form.is_valid():
        return redirect("notifications")
    alerts.read(user, form.cleaned_data["up_to"], form.cleaned_data["topic"])
    return redirect(_address({"topic": form.cleaned_data["topic"]}))


@require_http_methods(["GET", "HEAD", "POST"])
def choices(request: HttpRequest) -> HttpResponse:
    """Show and set the channel of each topic and the hour of the digest, and what is watched and followed."""
    user = person(request)
    now = {topic.value: channel.value for topic, channel in topics.channels(user).items()}
    form = Channels(posted(request), topics=topics.offered(user), initial={**now, "hour": user.digest_hour})
    if form.is_bound:
        with form:
            if form.is_valid():
                topics.choose(user, form.chosen())
                topics.set_hour(user, form.cleaned_data["hour"])
                return redirect("notification-settings")
    context = {
        "form": form,
        "mandatory": [(gettext(rule.label), gettext(rule.help)) for rule in topics.RULES.values() if rule.is_mandatory],
        "mail": user.mail_alerts,
        "sends": bool(settings.MAIL_FROM),
        "address": user.email,
        "is_proven": user.email_verified,
        "watched": watching.watched(user)[:FOLLOWED_LISTED],
        "bases": social.followed_bases(user)[:FOLLOWED_LISTED],
    }
    return render(request, "site/notification_settings.html", context, status=form.status)


@require_POST
def set_mail(request: HttpRequest) -> HttpResponse:
    """Switch e-mails on or off."""
    user, form = person(request), Mail(request.POST)
    if form.is_valid():
        alerts.set_mail(user, form.cleaned_data["mail"])
    return redirect("notification-settings")


@csrf_exempt  # mail programs post here without a cookie (RFC 8058); the signature proves who may
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, signed: str) -> HttpResponse:
    """Show what a link from an e-mail ends; a POST ends it. GET changes nothing, because programs fetch links."""
    is_done = request.method == "POST"
    user, stopped = topics.verify(signed)
    if is_done:
        topics.stop_mail(user, stopped)
    labels = [gettext(topics.RULES[topic].label) for topic in stopped]
    context = {"done": is_done, "labels": labels, "name": user.username, "signed": signed}
    return render(request, "site/unsubscribe.html", context)
