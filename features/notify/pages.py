"""A person's notifications: the list, marking it as read, how each topic reaches them, the end of e-mails; watching."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, TypedDict

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from features.notify import alerts, notices, preferences
from features.notify.models import Alert, Channel, Topic
from features.notify.preferences import HOURS, OPTIONAL, RULES
from hub.site import lists, routing
from hub.site.forms import Form, posted
from hub.site.panels import Link, Pages, Panel
from hub.site.routing import RepositoryAddress
from hub.site.visitor import caller, page_before, person
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.models import User
from registry.proof.reports import refusal
from registry.repos import lookup

LISTED, FOLLOWED_LISTED = 50, 100
NEWS_SHOWN = 6  # on the home of a person
CHANNELS = [
    (Channel.MAIL, _("E-mail at once")),
    (Channel.DIGEST, _("Daily e-mail")),
    (Channel.SITE, _("Here only")),
    (Channel.OFF, _("Off")),
]
WATCH_LEVELS = (
    ("none", _("Only what involves you"), _("Threads that you take part in, mentions, and your own adapters.")),
    ("releases", _("Releases"), _("Also releases and new verified versions.")),
    ("all", _("Everything"), _("Also pushes, verdicts and discussions.")),
    ("ignore", _("Ignore"), _("Only decisions by moderators.")),
)


class MarkRead(Form):
    up_to = forms.CharField(required=False)
    topic = forms.ChoiceField(required=False, choices=[("", ""), *((topic, topic) for topic in Topic.values)])

    def clean_up_to(self) -> int:
        return cursors.parse_row_number(self.cleaned_data["up_to"])


class Mail(Form):
    mail = forms.BooleanField(required=False)


class Filter(Form):
    topic = forms.ChoiceField(required=False, choices=[(topic, topic) for topic in Topic.values])
    unread = forms.BooleanField(required=False)


class Channels(Form):
    """A channel for each topic that is offered to a person, and the hour of the digest."""

    hour = forms.TypedChoiceField(
        label=_("Hour of the daily e-mail (UTC)"), coerce=int, choices=[(hour, f"{hour:02}:00") for hour in HOURS]
    )

    def __init__(self, *args: Any, topics: list[Topic], **options: Any) -> None:
        super().__init__(*args, **options)
        for topic in topics:
            self.fields[topic.value] = forms.ChoiceField(
                label=gettext(RULES[topic].label), help_text=gettext(RULES[topic].help), choices=CHANNELS
            )
        self.topics = topics
        self.order_fields([*(topic.value for topic in topics), "hour"])

    def chosen(self) -> dict[Topic, str]:
        """Return the channels of a valid form."""
        return {topic: self.cleaned_data[topic.value] for topic in OPTIONAL if topic in self.topics}


class WatchLevel(Form):
    level = forms.ChoiceField(choices=[(level, label) for level, label, _ in WATCH_LEVELS])


@require_safe
def notifications(request: HttpRequest) -> HttpResponse:
    """List them in groups by day, newest first; of one topic or unread alone if the address says so."""
    user, chosen = person(request), _filter(request)
    rows = alerts.of(user)
    if chosen["topic"]:
        rows = rows.filter(topic=chosen["topic"])
    if chosen["unread"]:
        rows = rows.filter(read_at__isnull=True)
    page, older = lists.older(request, rows, LISTED)
    context = {
        "groups": _groups(page),
        "newest": page[0].pk if page else 0,
        "older": _address(chosen, before=older) if older else "",
        "unread": alerts.unread(user),
        "chosen": chosen,
        "filters": _filters(user, chosen),
    }
    return render(request, "notify/listed.html", context)


class Chosen(TypedDict):
    """The filter of the list: a topic or "", and whether only what is not read is shown."""

    topic: str
    unread: bool


class Row(TypedDict):
    """An alert as the list shows it."""

    alert: Alert
    address: str
    subject: str
    sentence: str
    why: str
    check: str
    message: str


def _filter(request: HttpRequest) -> Chosen:
    """Return the chosen filter; one that is unknown counts as none."""
    form = Filter(request.GET)
    form.full_clean()
    return {"topic": form.cleaned_data.get("topic", ""), "unread": form.cleaned_data.get("unread", False)}


def _address(chosen: Mapping[str, Any], **more: Any) -> str:
    named = {name: "1" if value is True else value for name, value in {**chosen, **more}.items() if value}
    return reverse("notifications") + (f"?{urlencode(named)}" if named else "")


def _filters(user: User, chosen: Chosen) -> list[tuple[str, str, bool, bool]]:
    """Return the filters as (label, address, whether it is chosen, whether something of it is not read)."""
    news = alerts.unread_topics(user)
    rows = [
        (gettext("All"), _address({}), not chosen["topic"] and not chosen["unread"], False),
        (gettext("Not read"), _address({**chosen, "unread": not chosen["unread"]}), chosen["unread"], False),
    ]
    known = {*news, *Alert.objects.filter(user=user).order_by().values_list("topic", flat=True).distinct()}
    for topic, rule in RULES.items():
        if topic in known or topic == chosen["topic"]:
            is_chosen = topic == chosen["topic"]
            address = _address({**chosen, "topic": "" if is_chosen else topic.value})
            rows.append((gettext(rule.label), address, is_chosen, topic in news))
    return rows


def _groups(page: Iterable[Alert]) -> list[tuple[str, list[Row]]]:
    today = timezone.now().date()

    def day(alert: Alert) -> str:
        age = (today - alert.created_at.date()).days
        labels = ((1, gettext("Today")), (2, gettext("Yesterday")), (7, gettext("This week")))
        return next((label for days, label in labels if age < days), gettext("Earlier"))

    return [(label, [_row(alert) for alert in rows]) for label, rows in groupby(page, key=day)]


def _row(alert: Alert) -> Row:
    check, message = refusal(alert.verdict.report) if alert.verdict else ("", "")
    return {
        "alert": alert,
        "address": notices.address(alert),
        "subject": notices.subject(alert),
        "sentence": notices.sentence(alert),
        "why": notices.why(alert),
        "check": check,
        "message": message,
    }


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
    now = {topic.value: channel.value for topic, channel in preferences.channels(user).items()}
    form = Channels(posted(request), topics=preferences.offered(user), initial={**now, "hour": user.digest_hour})
    if form.is_bound:
        with form:
            if form.is_valid():
                preferences.choose(user, form.chosen())
                preferences.set_hour(user, form.cleaned_data["hour"])
                return redirect("notification-settings")
    context = {
        "form": form,
        "mandatory": [(gettext(rule.label), gettext(rule.help)) for rule in RULES.values() if rule.is_mandatory],
        "mail": user.mail_alerts,
        "sends": bool(settings.MAIL_FROM),
        "address": user.email,
        "is_proven": user.email_verified,
        "watched": preferences.watched(user)[:FOLLOWED_LISTED],
        "bases": user.followed_bases.order_by("base")[:FOLLOWED_LISTED],
    }
    return render(request, "notify/choices.html", context, status=form.status)


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
    user, stopped = preferences.verify(signed)
    if is_done:
        preferences.stop_mail(user, stopped)
    labels = [gettext(RULES[topic].label) for topic in stopped]
    context = {"done": is_done, "labels": labels, "name": user.username, "signed": signed}
    return render(request, "notify/unsubscribe.html", context)


def watch(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Watch at the level that the form names, or stop."""
    by, form = caller(request), WatchLevel(request.POST)
    repository = lookup.find_at_address(address.full_name, by, Permission.BROWSE, type=address.type)
    person(request)
    with form:
        if form.is_valid():
            level = form.cleaned_data["level"]
            if level == "none":
                preferences.unwatch(repository, by)
            else:
                preferences.watch(repository, level, by)
    return redirect(page_before(request, repository.get_absolute_url()))


def _watched(page: Mapping[str, Any]) -> Mapping[str, object]:
    header = page["header"]
    return {"watch_level": preferences.level_of(header.by, header.repository), "levels": WATCH_LEVELS}


def _news(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the newest alerts of what the person watches and follows; None without any."""
    rows = alerts.of(person(page["request"]), caller(page["request"])).filter(kind__in=alerts.OF_NEWS)
    news = [_row(alert) for alert in rows.select_related("verdict__revision__regression")[:NEWS_SHOWN]]
    return {"news": news} if news else None


def _bell(page: Mapping[str, Any]) -> Mapping[str, object]:
    by = page["request"].caller
    return {"unread": alerts.unread(by.user, by)}


AT = "settings/notifications"
PAGES = Pages(
    routes=[
        *routing.forms("repository", "<repository:address>", ("watch", watch, "watch")),
        routing.at(AT, notifications, "notifications"),
        *routing.forms("notifications", AT, ("read", read, "read-notifications"), ("mail", set_mail, "set-mail")),
        routing.at(f"{AT}/choices", choices, "notification-settings"),
        routing.at("unsubscribe/<str:signed>", unsubscribe, "unsubscribe"),
    ],
    links=(
        Link("person", "notifications", _("Notifications")),
        Link("settings", "notifications", _("Inbox"), place=50, group=_("Notifications")),
        Link("settings", "notification-settings", _("Notification settings"), place=51, group=_("Notifications")),
    ),
    panels=(
        Panel("bell", "notify/bell.html", _bell),
        Panel("own-news", "notify/news.html", _news),
        Panel("repository-buttons", "notify/watch.html", _watched),
    ),
)
