"""The shapes of the limits of one owner in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data, Text, WholeNumber

HUBS_OWN = "null: the hub's own limit; 0: no limit"


class SetLimits(s.Serializer[Data]):
    bytes = s.IntegerField(allow_null=True, help_text=HUBS_OWN)
    repositories = s.IntegerField(allow_null=True, help_text=HUBS_OWN)


class Quota(s.Serializer[Data]):
    name = s.CharField()
    kind = s.ChoiceField(choices=["person", "organization"])
    set = SetLimits(help_text="what administrators set")
    limit = s.IntegerField(allow_null=True, help_text="bytes, in force; null: no limit")
    repository_limit = s.IntegerField(allow_null=True, help_text="in force; null: no limit")
    bytes = s.IntegerField(help_text="held, those in the bin too")
    repositories = s.IntegerField(help_text="how many, those in the bin too")
    reason = s.CharField(allow_blank=True)
    by = s.CharField(allow_blank=True, help_text="the administrator; empty: the operator, or nobody")
    at = s.DateTimeField(allow_null=True)


class QuotaPage(s.Serializer[Data]):
    items = Quota(many=True)
    next = s.URLField(allow_null=True)


class NewQuota(s.Serializer[Data]):
    bytes = WholeNumber(required=False, default=None, allow_null=True, help_text=HUBS_OWN)
    repositories = WholeNumber(required=False, default=None, allow_null=True, help_text=HUBS_OWN)
    reason = Text(max_length=300, help_text="its owners read it")
