"""Abuse reports over our REST, and the cases that moderators work on."""

from rest_framework import serializers as s

from hub.api.pages import Paging
from hub.api.shapes import Data, Text, WholeNumber
from hub.shared.choices import one_of
from registry.models import Case
from registry.models.moderation.cases import FORMER_REASONS
from registry.moderation.cases import queue


class Place(s.Serializer[Data]):
    """The place that a report points to; at least one part."""

    commit = Text(required=False, max_length=40)
    file = Text(required=False, max_length=1024)
    line = WholeNumber(required=False, allow_null=True, min_value=1)
    end_line = WholeNumber(required=False, allow_null=True, min_value=1)
    tensor = Text(required=False, max_length=500)


class ReportTarget(s.Serializer[Data]):
    type = s.ChoiceField(choices=Case.Target.choices)
    id = Text(max_length=1500, help_text="ns/name, ns/name@REV, ns/name@REV:PATH, ns/name#NUMBER[:COMMENT], or a name")


class NewReport(s.Serializer[Data]):
    adapter = Text(required=False, max_length=200, help_text="ns/name; or send target")
    revision = Text(required=False, allow_null=True, default=None, max_length=200)
    target = ReportTarget(required=False)
    reason = one_of(Case.Reason.choices, former=FORMER_REASONS)
    text = Text(required=False, allow_blank=True, default="", max_length=10_000)
    evidence = Place(many=True, required=False, default=list)

    def validate(self, attrs: Data) -> Data:
        if ("adapter" in attrs) == ("target" in attrs):
            raise s.ValidationError("Send either adapter or target.")
        return attrs


class FiledReport(s.Serializer[Data]):
    id = s.IntegerField(help_text="of the case")
    target = ReportTarget()
    state = s.CharField()
    merged = s.BooleanField(help_text="whether the case was open already")


class QueuePaging(Paging):
    state = s.ChoiceField(choices=queue.STATES, required=False, default="waiting")
    reason = one_of(Case.Reason.choices, former=FORMER_REASONS, required=False)
    severity = s.IntegerField(required=False, min_value=1, max_value=3)
    target = s.ChoiceField(choices=Case.Target.choices, required=False)
    source = s.ChoiceField(choices=queue.SOURCES, required=False)  # type: ignore[assignment]  # also a name of s.Field
    q = s.CharField(required=False, max_length=200)


class QueueItem(s.Serializer[Data]):
    id = s.IntegerField()
    target = ReportTarget()
    reason = s.CharField()
    severity = s.IntegerField(help_text="3 high, 2 medium, 1 low")
    state = s.CharField()
    outcome = s.CharField(allow_null=True)
    claimed_by = s.CharField(allow_null=True)
    reports = s.IntegerField(help_text="people who reported it")
    findings = s.ListField(child=s.CharField(), help_text="check ids of the hub's own")
    created_at = s.DateTimeField()
    updated_at = s.DateTimeField()
    downloads_24h = s.IntegerField()
    owner_since = s.DateTimeField(allow_null=True)
    accuracy = s.FloatField(allow_null=True, help_text="upheld part of the reporters' decided reports, 0 to 1")
    prior_decisions = s.IntegerField()


class QueuePage(s.Serializer[Data]):
    items = QueueItem(many=True)
    next = s.URLField(allow_null=True)
