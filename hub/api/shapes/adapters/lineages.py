"""The shape of an adapter's lineage in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data
from hub.api.shapes.versions.lifecycle import Yanked


class NamedBase(s.Serializer[Data]):
    id = s.CharField(help_text="as this hub knows it")
    named = s.CharField(help_text="as the adapter names it")
    adapter = s.CharField(allow_null=True, help_text="the repository here of that name")


class LineageStep(s.Serializer[Data]):
    source = s.CharField()  # type: ignore[assignment]  # a field of that name is no attribute of the class
    result = s.CharField()
    method = s.CharField(help_text="of the newest version of the result that the hub made of the source")


class OwnForm(s.Serializer[Data]):
    method = s.CharField()
    revision = s.CharField()


class WeightCopy(s.Serializer[Data]):
    adapter = s.CharField()
    revision = s.CharField()
    path = s.CharField()
    cosine = s.FloatField(help_text="of the weights; rounded down to tenths behind a gate that you have not passed")
    copy = s.BooleanField(help_text="the same weights, perhaps under another scale, dtype or names")
    original = s.BooleanField(help_text="of a copy: its weights were pushed to this hub before those of this adapter")
    yanked = Yanked(allow_null=True, help_text="of the revision")


class AdapterLineage(s.Serializer[Data]):
    bases = NamedBase(many=True)
    made_from = LineageStep(many=True)
    made_from_left_out = s.IntegerField()
    made_of_it = LineageStep(many=True)
    made_of_it_left_out = s.IntegerField()
    other_forms = OwnForm(many=True, help_text="in the adapter's own repository")
    copies = WeightCopy(many=True)
    named_by = s.ListField(child=s.CharField(), help_text="adapters whose cards name it as their base")
    collections = s.ListField(child=s.CharField(), help_text="slugs")
