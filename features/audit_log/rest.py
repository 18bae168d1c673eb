"""The audit log over REST, for moderators in a session."""

from typing import Any

from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, Page, Time
from features.audit_log import verbs
from hub.api import pages
from hub.api.pages import Paging
from hub.api.records import of_row, operation
from hub.api.views import View
from registry.kernel.texts import cursors


class LogPaging(Paging):
    actor = s.CharField(required=False)
    object = s.CharField(required=False)
    action = s.CharField(required=False, help_text="noun:verb, as in adapter:quarantine")
    since = s.DateTimeField(required=False, help_text="events from this time on")
    until = s.DateTimeField(required=False, help_text="events before this time")


class LogEntry(Answer):
    id: int
    at: Time
    actor: str
    role: str
    credential: str
    address: str
    user_agent: str
    action: str
    object: str
    reason: str
    note: str
    before: Any
    after: Any
    request_id: str


class Log(View):
    @operation("log", query=LogPaging, callers="session")
    def get(self, request: Request) -> Page[LogEntry]:
        """Privileged acts, newest first."""
        self.require_moderator()
        asked = pages.parameters(request, LogPaging)
        below, limit = cursors.row_id(asked.pop("cursor", "")), asked.pop("limit")
        acts = verbs.listed(verbs.Filter(**asked), below, limit)
        return pages.page(request, [of_row(LogEntry, row) for row in acts.items], acts.next)


REST = [path("moderation/log", Log.as_view(), name="rest-log")]
