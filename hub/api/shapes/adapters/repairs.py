"""Requests and answers of our REST about repairs."""

from rest_framework import serializers as s

from hub.api.shapes import Data, Text


class Repair(s.Serializer[Data]):
    base = Text(
        required=False, allow_blank=True, default="", max_length=200, help_text="where it fits several: which is meant"
    )
    privacy = s.BooleanField(required=False, default=False, help_text="true: remove private data, and nothing else")


class Repaired(s.Serializer[Data]):
    """A pull request with a repair; nothing is changed until somebody merges it."""

    adapter = s.CharField()
    base = s.CharField(help_text="the base that the config then names, if any")
    number = s.IntegerField()
    title = s.CharField()
    url = s.URLField()
    revision = s.CharField(help_text="what it proposes; its verdict is there as of any revision")
