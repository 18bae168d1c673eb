"""The shapes of our REST's answers and bodies, a file for each file of views: what these send is what OpenAPI says."""

from typing import Any

from rest_framework import serializers as s

Data = dict[str, Any]  # one answer or body as plain values; the serializer of the view says which members it has


class Text(s.CharField):
    """Text of a body: a JSON string and nothing else; the framework would turn a number into one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise s.ValidationError(f"Send a JSON string, not {type(data).__name__}.")
        if self.max_length is not None and len(data) > self.max_length:  # with the white space at its ends, as promised
            self.fail("max_length", max_length=self.max_length)
        return str(super().to_internal_value(data))


class WholeNumber(s.IntegerField):
    """A whole number of a body: a JSON number without a fraction and nothing else."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            raise s.ValidationError(f"Send a whole number, not {type(data).__name__}.")
        return int(super().to_internal_value(data))
