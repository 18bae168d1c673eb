"""The state of the hub over REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data
from registry.kernel.banner import LEVELS


class Banner(s.Serializer[Data]):
    text = s.CharField()
    level = s.ChoiceField(choices=LEVELS)
    starts_at = s.DateTimeField(allow_null=True)
    ends_at = s.DateTimeField(allow_null=True)


class Site(s.Serializer[Data]):
    version = s.CharField()
    registration = s.ChoiceField(choices=["open", "invite", "closed"])
    pull_policy = s.ChoiceField(choices=["open", "verified"])
    uploads = s.BooleanField()
    new_repositories = s.BooleanField()
    writable = s.BooleanField(help_text="false: the whole hub is read-only")
    banner = Banner(allow_null=True)
