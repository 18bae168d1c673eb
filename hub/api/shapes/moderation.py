"""Requests of moderators to our REST, and the entries of the log of privileged acts."""

from rest_framework import serializers as s

from hub.api.pages import Paging
from hub.api.shapes import Data, Text
from registry import models


class LogPaging(Paging):
    actor = s.CharField(required=False)
    object = s.CharField(required=False)
    action = s.CharField(required=False, help_text="noun:verb, as in adapter:quarantine")


class Ruling(s.Serializer[Data]):
    reason = Text(max_length=500, help_text="the people who may write there read it")
    note = Text(required=False, allow_blank=True, default="", max_length=10_000, help_text="moderators read it")
    revision = Text(required=False, allow_null=True, default=None, help_text="null: the whole adapter")


class Ruled(s.Serializer[Data]):
    adapter = s.CharField()
    quarantined_at = s.DateTimeField(allow_null=True)
    changed = s.BooleanField(help_text="false where it was so already")


class LogEntry(s.ModelSerializer[models.AuditEvent]):
    class Meta:
        model = models.AuditEvent
        fields = ("id", "at", "actor", "action", "object", "reason", "note", "before", "after", "request_id")


class LogPage(s.Serializer[Data]):
    items = LogEntry(many=True)
    next = s.URLField(allow_null=True)
