"""The shapes of questions by digest and their answers in our REST."""

from typing import Any

from rest_framework import serializers as s

from hub.api.shapes import Data
from hub.api.shapes.versions.lifecycle import Yanked
from registry import models

MAX_DIGESTS = 100


class Digest(s.RegexField):
    """A SHA-256 in hexadecimal, in any case; the answer has it in lower case."""

    def __init__(self, **options: Any) -> None:
        super().__init__(r"^[0-9A-Fa-f]{64}$", **options)
        self.error_messages["invalid"] = "Send 64 hex digits."

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise s.ValidationError(f"Send a JSON string, not {type(data).__name__}.")
        return str(super().to_internal_value(data)).lower()


class LookupBody(s.Serializer[Data]):
    """One of the two."""

    sha256 = s.ListField(child=Digest(), required=False, min_length=1, max_length=MAX_DIGESTS, help_text="of files")
    tensor_digest = s.ListField(
        child=Digest(), required=False, min_length=1, max_length=MAX_DIGESTS,
        help_text="of tensors: the same under another header",
    )  # fmt: skip

    def validate(self, attrs: Data) -> Data:
        if len(attrs) != 1:
            raise s.ValidationError("Send either sha256 or tensor_digest.")
        return attrs


class FilePlace(s.Serializer[Data]):
    digest = s.CharField(help_text="the one that was asked for")
    adapter = s.CharField(help_text="namespace/name")
    type = s.ChoiceField(choices=models.Repository.Type.choices)
    revision = s.CharField()
    path = s.CharField()
    size = s.IntegerField()
    sha256 = s.CharField(help_text="of the file")
    yanked = Yanked(allow_null=True, help_text="of the revision")


class LookupAnswer(s.Serializer[Data]):
    items = FilePlace(many=True)
    truncated = s.BooleanField(help_text="there are more than these")
