"""Notifications in our REST: the caller's own, marking them as read, and the level at which an adapter is watched."""

from collections.abc import Mapping
from typing import Annotated

from django.db import transaction
from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, OneOf, Page, RepositoryType, Time, Url
from features.notify import alerts, notices, preferences
from features.notify.models import Alert, Channel, RepositoryWatch, Topic
from hub.api import pages
from hub.api.pages import Data, WholeNumber
from hub.api.records import of_row, operation
from hub.api.views import View
from registry.kernel import policy
from registry.kernel.texts import cursors
from registry.kernel.texts.phrases import absolute
from registry.models import Repository, User
from registry.proof.reports import refusal
from registry.repos import lookup


class ReadBody(s.Serializer[Data]):
    up_to = WholeNumber(min_value=0, max_value=2**63 - 1, help_text="the id of the newest one that was read")
    topic = s.ChoiceField(Topic.choices, required=False, help_text="of this topic alone")


class Notification(Answer):
    """One thing that somebody was told of; while it is not read, more of the same makes its `count` larger."""

    id: int
    kind: Annotated[str, OneOf(*Alert.Kind.values)]
    topic: Annotated[str, OneOf(*Topic.values), "the class under which people switch it"]
    adapter: Annotated[str | None, "null for an invitation or a token"]
    type: RepositoryType | None
    organization: Annotated[str | None, "of an invitation"]
    revision: Annotated[str | None, "of a verdict"]
    state: Annotated[str | None, "of a verdict"]
    was: Annotated[str | None, "of the same bytes before; null after a push"]
    check: Annotated[str | None, "the one that says no"]
    discussion: Annotated[int | None, "the number of the thread"]
    by: Annotated[str | None, "who did the newest of it; null where the hub speaks"]
    count: int
    message: Annotated[str, "of the check that failed, else what happened in a sentence"]
    url: Url
    created_at: Time
    read: bool


class Marked(Answer):
    read: Annotated[int, "how many were not read before"]


class Notifications(View):
    @operation("notifications", query=pages.Paging)
    def get(self, request: Request) -> Page[Notification]:
        """List your notifications, the newest first."""
        asked = pages.parameters(request, pages.Paging)
        below = cursors.row_id(asked.get("cursor", ""))
        page = cursors.newest_first(alerts.of(self.person(), self.caller), below, asked["limit"])
        return pages.page(request, [_line(alert) for alert in page.items], page.next)


class Read(View):
    @operation("notificationsRead", body=ReadBody, example={"up_to": 17})
    def post(self, request: Request) -> Marked:
        """Mark them as read."""
        pages.parameters(request, pages.Nothing)
        user = policy.require_person(self.caller, "mark notifications as read", publishes=False)
        body = pages.body(request, ReadBody)
        return Marked(read=alerts.read(user, body["up_to"], body.get("topic", "")))


class NewPreferences(s.Serializer[Data]):
    """The fields to change; a missing one stays as it is, and so does a topic."""

    channels = s.DictField(child=s.ChoiceField(Channel.choices), required=False, help_text="topic → channel")
    digest_hour = WholeNumber(required=False, min_value=0, max_value=23, help_text="of the daily e-mail, in UTC")
    mail = s.BooleanField(required=False, help_text="false: no e-mails but those that cannot be switched off")


class Preferences(Answer):
    channels: Annotated[Mapping[str, str], "topic → off, site, digest or mail"]
    digest_hour: int
    mail: bool


class OwnPreferences(View):
    @operation("notification_preferences")
    def get(self, request: Request) -> Preferences:
        """How notifications reach you."""
        pages.parameters(request, pages.Nothing)
        return _preferences(self.person())

    @operation("set_notification_preferences", body=NewPreferences, example={"channels": {"watched": "site"}})
    def patch(self, request: Request) -> Preferences:
        """Choose how they reach you."""
        pages.parameters(request, pages.Nothing)
        user = policy.require_person(self.caller, "choose notifications", publishes=False)
        given = pages.body(request, NewPreferences)
        with transaction.atomic():
            preferences.choose(user, given.get("channels", {}))
            preferences.set_hour(user, given.get("digest_hour", user.digest_hour))
            alerts.set_mail(user, given.get("mail", user.mail_alerts))
        return _preferences(user)


def _preferences(user: User) -> Preferences:
    channels = {topic.value: channel.value for topic, channel in preferences.channels(user).items()}
    return of_row(Preferences, user, channels=channels, mail=user.mail_alerts)


def _line(alert: Alert) -> Notification:
    verdict = alert.verdict
    check, message = refusal(verdict.report) if verdict else ("", "")
    return of_row(
        Notification,
        alert,
        id=alert.pk,
        adapter=alert.repository.full_name if alert.repository else None,
        type=alert.repository.type if alert.repository else None,
        organization=str(alert.invitation.organization) if alert.invitation else None,
        revision=verdict.revision.oid if verdict else None,
        state=verdict.state if verdict else None,
        was=(verdict.changed_from or None) if verdict else None,
        check=check or None,
        discussion=alert.discussion.number if alert.discussion else None,
        by=alert.by.username if alert.by else None,
        message=message or notices.sentence(alert),
        url=absolute(notices.address(alert)),
        read=alert.read_at is not None,
    )


class WatchLevel(s.Serializer[Data]):
    level = s.ChoiceField(choices=RepositoryWatch.Level.choices, default="releases")


class Watched(Answer):
    adapter: str
    level: Annotated[str | None, OneOf(*RepositoryWatch.Level.values), "null: not watched"]


class Watch(View):
    @operation("watching")
    def get(self, request: Request, ns: str, name: str) -> Watched:
        """The level at which you watch."""
        pages.parameters(request, pages.Nothing)
        repository = self._browsed(ns, name)
        self.person()
        return _answer(repository, preferences.level_of(self.caller, repository))

    @operation("watch", body=WatchLevel, example={"level": "all"})
    def put(self, request: Request, ns: str, name: str) -> Watched:
        """Watch or ignore it."""
        pages.parameters(request, pages.Nothing)
        repository = self._browsed(ns, name)
        policy.require_person(self.caller, "watch a repository")
        body = pages.body(request, WatchLevel)
        level = body["level"]
        preferences.watch(repository, level, self.caller)
        return _answer(repository, level)

    @operation("unwatch")
    def delete(self, request: Request, ns: str, name: str) -> Watched:
        """Stop watching or ignoring it."""
        pages.parameters(request, pages.Nothing)
        repository = self._browsed(ns, name)
        preferences.unwatch(repository, self.caller)
        return _answer(repository, "")

    def _browsed(self, ns: str, name: str) -> Repository:
        return lookup.find_at_address(f"{ns}/{name}", self.caller, policy.Permission.BROWSE)


def _answer(repository: Repository, level: str) -> Watched:
    return Watched(adapter=repository.full_name, level=level or None)


REST = [
    path("adapters/<str:ns>/<str:name>/watch", Watch.as_view(), name="rest-watch"),
    path("me/notifications", Notifications.as_view(), name="rest-notifications"),
    path("me/notifications/read", Read.as_view(), name="rest-notifications-read"),
    path("me/notifications/preferences", OwnPreferences.as_view(), name="rest-notification-preferences"),
]
