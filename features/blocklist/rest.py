"""The blocklist of files over REST, for moderators in a session."""

from typing import Annotated

from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, Page, Time
from features.blocklist import verbs
from hub.api import pages
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation
from hub.api.views import View
from registry.kernel.texts import cursors


class NewBlock(s.Serializer[Data]):
    sha256 = s.ListField(child=Text(max_length=80), max_length=1000)
    reason = Text(max_length=300, help_text="a person who pushes such a file reads it")
    note = Text(required=False, allow_blank=True, default="", max_length=10_000, help_text="moderators read it")


class Blocked(Answer):
    sha256: str
    tensors: str
    reason: str
    note: str
    by: str
    at: Time
    swept_at: Time | None
    held: int


class NewlyBlocked(Answer):
    blocked: Annotated[tuple[str, ...], "those that were not blocked before"]


class Blocklist(View):
    @operation("blocklist", query=pages.Paging, callers="session")
    def get(self, request: Request) -> Page[Blocked]:
        """Blocked files, newest first."""
        self.require_moderator()
        asked = pages.parameters(request, pages.Paging)
        below, limit = cursors.row_id(asked.pop("cursor", "")), asked.pop("limit")
        rows = cursors.newest_first(verbs.listed(), below, limit)
        return pages.page(request, [of_row(Blocked, row) for row in rows.items], rows.next)

    @operation(
        "block_files",
        body=NewBlock,
        callers="session",
        example={"sha256": ["1" * 64], "reason": "It steals credentials."},
    )
    def post(self, request: Request) -> NewlyBlocked:
        """Block files by sha256, and hold back what holds one."""
        self.require_moderator()
        given = pages.body(request, NewBlock)
        new = verbs.block(given["sha256"], self.caller, reason=given["reason"], note=given["note"])
        return NewlyBlocked(blocked=tuple(new))


class OneBlocked(View):
    @operation("unblock_file", callers="session")
    def delete(self, request: Request, sha256: str) -> None:
        """Take a file off the blocklist."""
        self.require_moderator()
        verbs.unblock(sha256, self.caller)


REST = [
    path("moderation/blocklist", Blocklist.as_view(), name="rest-blocklist"),
    path("moderation/blocklist/<str:sha256>", OneBlocked.as_view(), name="rest-blocked"),
]
