"""Query parameters and bodies in, cursor pages out: how our REST is asked, and how every list of it is answered."""

from collections.abc import Iterable
from typing import Any, TypeVar

from django.http import QueryDict
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Page
from hub.addresses import absolute
from registry.kernel.errors import ValueInvalid

T = TypeVar("T")
Data = dict[str, Any]  # a checked body or query; the serializer says which members it has


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


class Paging(s.Serializer[Data]):
    cursor = s.CharField(required=False, help_text="from next of the page before")
    limit = s.IntegerField(required=False, min_value=1, max_value=100, default=30)


class Nothing(s.Serializer[Data]):
    """A route that takes no query parameters, or no body."""


def parameters(request: Request, shape: type[s.Serializer[Any]]) -> Data:
    """Return the checked query parameters; one we do not know is refused, because ignoring a filter would be a lie."""
    serializer = shape(data=request.query_params)
    if unknown := sorted(set(request.query_params) - set(serializer.fields)):
        raise ValueInvalid(f"Unknown parameter {unknown[0]!r}.", fix=f"Use {', '.join(sorted(serializer.fields))}.")
    _refuse_empty(request.query_params, serializer)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def body(request: Request, shape: type[s.Serializer[Any]] = Nothing) -> Data:
    """Return the checked fields of the JSON body; one we do not know is refused: ignoring a wish would be a lie.

    No body is one without fields; so is what is no JSON, where none is expected: some clients send an empty form.
    """
    if shape is Nothing and "json" not in request.content_type:
        return {}
    serializer = shape(data=request.data)
    _refuse_unknown(request.data, serializer, "this body")
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _refuse_unknown(data: object, serializer: s.Serializer[Any], place: str) -> None:
    if not isinstance(data, dict):
        return  # the serializer says so
    if unknown := sorted(set(data) - set(serializer.fields)):
        known = f"Known are {', '.join(sorted(serializer.fields))}." if serializer.fields else "Send no body."
        raise ValueInvalid(f"Unknown field {unknown[0][:80]!r} in {place}.", fix=known)
    for name, field in serializer.fields.items():
        inner = field.child if isinstance(field, s.ListSerializer) else field
        if isinstance(inner, s.Serializer):
            value = data.get(name)
            for item in value if isinstance(value, list) else [value]:
                _refuse_unknown(item, inner, repr(name))


def _refuse_empty(query: QueryDict, serializer: s.Serializer[Any]) -> None:
    """Refuse `?actor=`: the framework takes it for a form's empty field, and would not filter at all."""
    for name, values in query.lists():
        field = serializer.fields[name]
        if "" in values and not getattr(field, "allow_blank", False) and not isinstance(field, s.ListField):
            raise ValueInvalid(f"The parameter {name!r} is empty.", fix="Give it a value, or omit it.")


def page(request: Request, items: Iterable[T], cursor: str = "", *, name: str = "cursor") -> Page[T]:
    """Return a page of a list; `next` is absolute, and null on the last one."""
    if not cursor:
        return Page(items=tuple(items), next=None)
    query = request.query_params.copy()
    query[name] = cursor
    return Page(items=tuple(items), next=f"{absolute(request._request, request.path)}?{query.urlencode()}")
