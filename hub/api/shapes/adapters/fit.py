"""Requests and answers of our REST about the bases that an adapter would fit."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as s

from hub.api.shapes import Data


@extend_schema_field({"oneOf": [{"type": "object", "additionalProperties": {}}, {"type": "string"}]})
class Header(s.Field[Any, Any, Any, Any]):
    """A safetensors header: an object, or text with the base64 of its bytes."""

    def to_internal_value(self, data: Any) -> Data | str:
        if not isinstance(data, dict | str):
            raise s.ValidationError(f"Send an object or text in base64, not {type(data).__name__}.")
        return data


class FitBody(s.Serializer[Data]):
    """The facts that decide whether an adapter fits: two small files' worth, no weights."""

    config = s.DictField(help_text="adapter_config.json, parsed")
    header = Header(help_text="the safetensors header: its JSON object, or base64 of its bytes")


class BaseFit(s.Serializer[Data]):
    base = s.CharField()
    on_shelf = s.BooleanField(help_text="whether an adapter of it is also run here")
    tensors = s.IntegerField()
    vocabulary = s.IntegerField(allow_null=True, help_text="rows, where the adapter enlarges it")
    why = s.CharField()


class WrongShape(s.Serializer[Data]):
    tensor = s.CharField()
    found = s.ListField(child=s.IntegerField())
    expected = s.ListField(child=s.IntegerField())


class BaseMisfit(s.Serializer[Data]):
    """Why it does not fit; each list holds the first 20."""

    base = s.CharField()
    on_shelf = s.BooleanField()
    why = s.CharField()
    wrong = WrongShape(many=True)
    missing = s.ListField(child=s.CharField())
    unexpected = s.ListField(child=s.CharField())
    replaces = s.ListField(child=s.CharField())


class FitAnswer(s.Serializer[Data]):
    task = s.CharField(allow_null=True, help_text="as PEFT names it; null: the one each base was made for")
    fits = BaseFit(many=True)
    misfits = BaseMisfit(many=True)
    note = s.CharField(allow_null=True, help_text="what shapes cannot tell")
    left_out = s.IntegerField(
        help_text="bases that were not asked: too many, a pattern cost too much, or not measured yet"
    )
