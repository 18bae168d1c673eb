"""The shapes of the search over everything in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data
from hub.api.shapes.adapters.adapters import Repository
from hub.api.shapes.bases import Base
from hub.api.shapes.versions.lifecycle import Yanked
from registry import models


class Words(s.Serializer[Data]):
    q = s.CharField(max_length=200, help_text="words, or eight and more hex digits of the sha256 of a file")
    limit = s.IntegerField(required=False, min_value=1, max_value=30, default=10, help_text="of each kind")


class Owner(s.Serializer[Data]):
    name = s.CharField()
    kind = s.ChoiceField(choices=models.Namespace.Kind.choices)
    full_name = s.CharField(allow_blank=True)


class FoundFile(s.Serializer[Data]):
    sha256 = s.CharField()
    adapter = s.CharField(help_text="namespace/name")
    type = s.ChoiceField(choices=models.Repository.Type.choices)
    revision = s.CharField(help_text="the newest one that holds it")
    path = s.CharField()
    size = s.IntegerField()
    yanked = Yanked(allow_null=True, help_text="of the revision")


class Found(s.Serializer[Data]):
    adapters = Repository(many=True)
    bases = Base(many=True)
    owners = Owner(many=True)
    files = FoundFile(many=True)
    suggestion = s.CharField(allow_null=True, help_text="where nothing was found: like words that find something")
