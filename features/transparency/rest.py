"""The numbers of moderation by month over REST."""

from collections.abc import Mapping
from typing import Annotated

from django.urls import path
from rest_framework.request import Request

from dovetail.answers import record
from dovetail.answers.record import Answer, Day, Page, Time
from features.transparency import verbs
from features.transparency.models import MonthOfModeration
from hub.api import pages
from hub.api.records import operation, text_of
from hub.api.views import View

Counts = Mapping[str, int]  # by a word, such as reports by reason


class Cases(Answer):
    opened: int
    closed: int
    outcomes: Counts
    median_hours: Annotated[float | None, "from the first report of a case to its decision"]


class Decisions(Answer):
    holds: int
    holds_by_hub: int
    releases: int
    takedowns: int


class Appeals(Answer):
    opened: int
    approved: int
    rejected: int


class JournalEntry(Answer):
    day: Day
    type: str
    name: Annotated[str, "empty for a private repository"]
    is_whole: Annotated[bool, "false: one version"]
    cause: str


class Month(Answer):
    month: Annotated[str, "such as 2026-11"]
    computed_at: Time
    reports: Annotated[Counts, "by reason"]
    findings: Annotated[int, "of the hub itself"]
    cases: Cases
    decisions: Decisions
    appeals: Appeals
    suspended: int
    unsuspended: int
    blocked_files: int
    journal: tuple[JournalEntry, ...]


class Transparency(View):
    @operation("transparency", callers="anyone")
    def get(self, request: Request) -> Page[Month]:
        """Reports, decisions, appeals and takedowns by month.

        For moderators in a session, where the site setting `transparency` says so.
        """
        verbs.require(self.caller)
        pages.parameters(request, pages.Nothing)
        return pages.page(request, map(_month, verbs.months()))


def _month(row: MonthOfModeration) -> Month:
    stated = {"month": f"{row.month:%Y-%m}", "computed_at": text_of(row.computed_at), "journal": row.journal}
    return record.read(Month, row.numbers | stated)


REST = [path("transparency", Transparency.as_view(), name="rest-transparency")]
