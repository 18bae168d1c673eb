"""The shapes of downloads by day in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data
from hub.shared.choices import one_of

SPANS = (30, 90, 365)


class Days(s.Serializer[Data]):
    days = one_of(
        [str(span) for span in SPANS], required=False, default="30", help_text="the last 30, 90 or 365 days, with today"
    )


class Day(s.Serializer[Data]):
    day = s.DateField(help_text="in UTC")
    downloads = s.IntegerField()


class Downloads(s.Serializer[Data]):
    """A caller counts once an hour, however many files they fetch; counts are some minutes old."""

    adapter = s.CharField(help_text="namespace/name")
    all_time = s.IntegerField()
    sum = s.IntegerField(help_text="of the days below")
    days = s.ListField(child=Day(), help_text="each day of the span, the oldest first, today last")
