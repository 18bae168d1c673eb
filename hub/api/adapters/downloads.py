"""The downloads of an adapter, day by day."""

from typing import Annotated

from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers import record
from hub.api import pages
from hub.api.asking import View
from hub.api.pages import Data
from hub.api.records import operation
from hub.shared.choices import one_of
from registry.kernel.policy import Permission
from registry.repos import lookup
from registry.repos.delivery import download_counts

SPANS = (30, 90, 365)


class Days(s.Serializer[Data]):
    days = one_of(
        [str(span) for span in SPANS], required=False, default="30", help_text="the last 30, 90 or 365 days, with today"
    )


class Day(record.Answer):
    day: Annotated[record.Day, "in UTC"]
    downloads: int


class Downloads(record.Answer):
    """A caller counts once an hour, however many files they fetch; counts are some minutes old."""

    adapter: Annotated[str, "namespace/name"]
    all_time: int
    sum: Annotated[int, "of the days below"]
    days: Annotated[tuple[Day, ...], "each day of the span, the oldest first, today last"]


class DownloadsByDay(View):
    @operation("downloads", query=Days)
    def get(self, request: Request, ns: str, name: str) -> Downloads:
        """Downloads by day."""
        days = int(pages.parameters(request, Days)["days"])
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.BROWSE)
        counted = download_counts.by_day(repository, days)
        return Downloads(
            adapter=repository.full_name,
            all_time=repository.downloads,
            sum=sum(count for _, count in counted),
            days=tuple(Day(day=day.isoformat(), downloads=count) for day, count in counted),
        )
