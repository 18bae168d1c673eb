"""Requests of moderators to our REST, and the entries of the log of privileged acts."""

from rest_framework import serializers as s

from hub.api.pages import Paging
from hub.api.shapes import Data, Text
from registry import models


class LogPaging(Paging):
    actor = s.CharField(required=False)
    object = s.CharField(required=False)
    action = s.CharField(required=False, help_text="noun:verb, as in adapter:quarantine")
    since = s.DateTimeField(required=False, help_text="events from this time on")
    until = s.DateTimeField(required=False, help_text="events before this time")


class Ruling(s.Serializer[Data]):
    reason = Text(max_length=500, help_text="the people who may write there read it")
    note = Text(required=False, allow_blank=True, default="", max_length=10_000, help_text="moderators read it")
    revision = Text(required=False, allow_null=True, default=None, help_text="null: the whole adapter")


class Ruled(s.Serializer[Data]):
    adapter = s.CharField()
    quarantined_at = s.DateTimeField(allow_null=True)
    changed = s.BooleanField(help_text="false where it was so already")


class Reasoned(s.Serializer[Data]):
    reason = Text(max_length=500)
    note = Text(required=False, allow_blank=True, default="", max_length=10_000, help_text="moderators read it")


class Suspension(Reasoned):
    until = s.DateTimeField(required=False, allow_null=True, default=None, help_text="null: until a moderator ends it")


class Suspended(s.Serializer[Data]):
    name = s.CharField()
    suspended = s.BooleanField()
    until = s.DateTimeField(allow_null=True)
    changed = s.BooleanField(help_text="false where it was so already")


class OfType(s.Serializer[Data]):
    type = s.ChoiceField(choices=["model", "dataset", "space"], required=False, default="model")


class LogEntry(s.ModelSerializer[models.AuditEvent]):
    class Meta:
        model = models.AuditEvent
        fields = (
            "id", "at", "actor", "role", "credential", "address", "user_agent", "action", "object", "reason", "note",
            "before", "after", "request_id",
        )  # fmt: skip


class LogPage(s.Serializer[Data]):
    items = LogEntry(many=True)
    next = s.URLField(allow_null=True)


class Blocked(s.ModelSerializer[models.BlockedFile]):
    class Meta:
        model = models.BlockedFile
        fields = ("sha256", "tensors", "reason", "note", "by", "at", "swept_at", "held")


class BlockedPage(s.Serializer[Data]):
    items = Blocked(many=True)
    next = s.URLField(allow_null=True)


class NewBlock(s.Serializer[Data]):
    sha256 = s.ListField(child=Text(max_length=80), max_length=1000)
    reason = Text(max_length=300, help_text="a person who pushes such a file reads it")
    note = Text(required=False, allow_blank=True, default="", max_length=10_000, help_text="moderators read it")


class NewlyBlocked(s.Serializer[Data]):
    blocked = s.ListField(child=s.CharField(), help_text="those that were not blocked before")
