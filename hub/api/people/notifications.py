"""The caller's notifications of verdicts, access requests and discussions, and marking them as read."""

from typing import Annotated

from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, OneOf, Page, RepositoryType, Time, Url
from hub.api import pages
from hub.api.pages import Data, WholeNumber
from hub.api.records import of_row, operation
from hub.api.views import View
from registry.kernel import policy
from registry.kernel.texts import cursors
from registry.kernel.texts.links import absolute
from registry.models import Alert, Topic
from registry.proof.reports import refusal
from registry.talk.alerts import alerts


class ReadBody(s.Serializer[Data]):
    up_to = WholeNumber(min_value=0, max_value=2**63 - 1, help_text="the id of the newest one that was read")


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
        """What you were told, newest first."""
        asked = pages.parameters(request, pages.Paging)
        below = cursors.row_id(asked.get("cursor", ""))
        page = cursors.newest_first(alerts.of(self.person(), self.caller), below, asked["limit"])
        return pages.page(request, [_line(alert) for alert in page.items], page.next)


class Read(View):
    @operation("notificationsRead", body=ReadBody)
    def post(self, request: Request) -> Marked:
        """Mark them as read."""
        pages.parameters(request, pages.Nothing)
        user = policy.require_person(self.caller, "mark notifications as read", publishes=False)
        body = pages.body(request, ReadBody)
        return Marked(read=alerts.read(user, body["up_to"]))


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
        message=message or alerts.sentence(alert),
        url=absolute(alerts.address(alert)),
        read=alert.read_at is not None,
    )
