"""The state of the hub over REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data
from registry.kernel.banner import LEVELS


class Banner(s.Serializer[Data]):
    text = s.CharField()
    level = s.ChoiceField(choices=LEVELS)
    starts_at = s.DateTimeField(allow_null=True)
    ends_at = s.DateTimeField(allow_null=True)


class Plane(s.Serializer[Data]):
    """The address of signed documents, by which pulls go on while the hub does not answer."""

    url = s.URLField()
    keys = s.ListField(child=s.CharField(), help_text="public Ed25519 keys in base64, today's first")


class Site(s.Serializer[Data]):
    version = s.CharField()
    registration = s.ChoiceField(choices=["open", "invite", "closed"])
    pull_policy = s.ChoiceField(choices=["open", "verified"])
    uploads = s.BooleanField()
    new_repositories = s.BooleanField()
    writable = s.BooleanField(help_text="false: the whole hub is read-only")
    banner = Banner(allow_null=True)
    plane = Plane(allow_null=True, help_text="null: there is no read plane")


class Counts(s.DictField):
    """Numbers by a word, such as reports by reason."""

    child = s.IntegerField()


class Cases(s.Serializer[Data]):
    opened = s.IntegerField()
    closed = s.IntegerField()
    outcomes = Counts()
    median_hours = s.FloatField(allow_null=True, help_text="from the first report of a case to its decision")


class Decisions(s.Serializer[Data]):
    holds = s.IntegerField()
    holds_by_hub = s.IntegerField()
    releases = s.IntegerField()
    takedowns = s.IntegerField()


class Appeals(s.Serializer[Data]):
    opened = s.IntegerField()
    approved = s.IntegerField()
    rejected = s.IntegerField()


class JournalEntry(s.Serializer[Data]):
    day = s.DateField()
    type = s.CharField()
    name = s.CharField(help_text="empty for a private repository")
    is_whole = s.BooleanField(help_text="false: one version")
    cause = s.CharField()


class Month(s.Serializer[Data]):
    month = s.CharField(help_text="such as 2026-11")
    computed_at = s.DateTimeField()
    reports = Counts(help_text="by reason")
    findings = s.IntegerField(help_text="of the hub itself")
    cases = Cases()
    decisions = Decisions()
    appeals = Appeals()
    suspended = s.IntegerField()
    unsuspended = s.IntegerField()
    blocked_files = s.IntegerField()
    journal = JournalEntry(many=True)


class TransparencyPage(s.Serializer[Data]):
    items = Month(many=True)
    next = s.URLField(allow_null=True)
