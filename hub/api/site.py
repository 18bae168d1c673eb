"""The hub itself: what is turned on, the banner of the operator, and the numbers of its moderation."""

from collections.abc import Mapping
from typing import Annotated

from rest_framework.request import Request

from dovetail.answers import record, site
from dovetail.answers.record import Answer, Day, Page, Time
from hub.about import VERSION
from hub.api import pages
from hub.api.asking import View
from hub.api.records import operation, text_of
from registry.kernel import banner
from registry.kernel.site_settings import get_setting
from registry.models import MonthOfModeration
from registry.moderation import transparency
from registry.plane import signing

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
    @operation("transparency")
    def get(self, request: Request) -> Page[Month]:
        """Reports, decisions, appeals and takedowns by month.

        For moderators in a session, where the site setting `transparency` says so.
        """
        transparency.require(self.caller)
        pages.parameters(request, pages.Nothing)
        return pages.page(request, map(_month, transparency.months()))


class Site(View):
    @operation("site")
    def get(self, request: Request) -> site.Site:
        """What this hub takes now, and its banner."""
        pages.parameters(request, pages.Nothing)
        shown = banner.current()
        return site.Site(
            version=VERSION,
            registration=get_setting("registration"),
            pull_policy=get_setting("pull_policy"),
            uploads=get_setting("uploads") == "on",
            new_repositories=get_setting("new_repositories") == "on",
            writable=get_setting("read_only") == "off",
            banner=shown.document() if shown else None,
            plane=signing.stated(),
        )


def _month(row: MonthOfModeration) -> Month:
    stated = {"month": f"{row.month:%Y-%m}", "computed_at": text_of(row.computed_at), "journal": row.journal}
    return record.read(Month, row.numbers | stated)
