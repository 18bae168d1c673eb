"""The shapes of rules of retention in our REST: what is kept, and what a rule removes."""

from rest_framework import serializers as s

from hub.api.shapes import Data, Text, WholeNumber
from registry.publish.retention.retention import MOST_DAYS, MOST_VERSIONS

NEWEST = "newest versions of each branch that stay"
ALL = f"{NEWEST}; null: all of them, whatever the owner's rule says"
YOUNGER = "versions younger than this stay, whatever their number"


class NewRule(s.Serializer[Data]):
    keep_last = WholeNumber(allow_null=True, min_value=1, max_value=MOST_VERSIONS, help_text=ALL)
    keep_days = WholeNumber(required=False, default=1, min_value=1, max_value=MOST_DAYS, help_text=YOUNGER)


class Trial(s.Serializer[Data]):
    """The numbers of a rule that is only tried; without them, the rule in force is."""

    keep_last = s.IntegerField(required=False, min_value=1, max_value=MOST_VERSIONS, help_text=NEWEST)
    keep_days = s.IntegerField(required=False, default=1, min_value=1, max_value=MOST_DAYS, help_text=YOUNGER)


class Rule(s.Serializer[Data]):
    keep_last = s.IntegerField(allow_null=True, help_text=ALL)
    keep_days = s.IntegerField(help_text=YOUNGER)
    of = s.ChoiceField(choices=["adapter", "owner"], help_text="for whom it was set")
    set_by = s.CharField()
    set_at = s.DateTimeField()


class OwnerRule(s.Serializer[Data]):
    rule = Rule(allow_null=True, help_text="null: every version is kept")


class OwnerTrial(Trial):
    cursor = s.CharField(required=False, help_text="from next of the part before")


class Loss(s.Serializer[Data]):
    adapter = s.CharField(help_text="or another repository of the owner: namespace/name")
    expiring_versions = s.IntegerField(help_text="how many lose their files")
    freed_bytes = s.IntegerField()


class OwnerLosses(s.Serializer[Data]):
    items = Loss(many=True, help_text="the repositories of this part that lose files")
    next = s.URLField(allow_null=True)
    expiring_versions = s.IntegerField(help_text="of these together")
    freed_bytes = s.IntegerField(help_text="of these together, if no other repository has the same files")
    looked_at = s.IntegerField(help_text="repositories with a version that is old enough")


class OwnerRetention(OwnerRule):
    trial = OwnerLosses(allow_null=True, help_text="what the numbers in the query would remove; null without them")


class ExpiringVersion(s.Serializer[Data]):
    revision = s.CharField(help_text="40 hex digits")
    title = s.CharField()
    created_at = s.DateTimeField()
    bytes = s.IntegerField(help_text="that no version names which stays; a file counts at the newest that has it")


class Kept(s.Serializer[Data]):
    reason = s.ChoiceField(choices=["newest", "young", "named", "pull request", "in use"])
    versions = s.IntegerField()


class Retention(OwnerRule):
    expiring = ExpiringVersion(many=True, help_text="the oldest 200 that lose their files")
    expiring_versions = s.IntegerField(help_text="how many lose their files in all")
    freed_bytes = s.IntegerField()
    kept = Kept(many=True, help_text="why the others stay")
    binned_versions = s.IntegerField(help_text="whose files were removed and can be taken back")
    bin_days = s.IntegerField(help_text="how long they can")


class Restore(s.Serializer[Data]):
    revision = Text(required=False, default="", allow_blank=True, max_length=40, help_text="a commit id; empty: all")


class Restored(s.Serializer[Data]):
    versions = s.IntegerField(help_text="how many have their files again; no rule removes them any more")
    left = s.IntegerField(help_text="for how many there was no time: ask again")
