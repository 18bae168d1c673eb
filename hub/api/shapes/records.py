"""Makes the shapes of records: what OpenAPI says of a report is derived from the annotations of its dataclasses."""

import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from rest_framework import serializers as s

from dovetail.adapters.results.records import Record, slots, without_none
from dovetail.adapters.results.report import CheckResult
from hub.api.shapes import Data

Shape = type[s.Serializer[Data]]
NAMES: Mapping[Any, str] = {CheckResult: "Check"}  # of shapes that OpenAPI calls otherwise than the code


@functools.cache
def shape(record: Any) -> Shape:
    """Return the serializer of a record."""
    fields = {slot.name: field(record, slot.name, required=not slot.is_optional) for slot in slots(record)}
    return type(NAMES.get(record, record.__name__), (s.Serializer,), {"__doc__": record.__doc__, **fields})


def field(record: type[Record], name: str, **more: Any) -> Any:
    """Return the serializer field of one field of a record; `more` goes to that field."""
    hint = get_type_hints(record, include_extras=True)[name]
    kept = without_none(hint)
    return _field(kept, {"allow_null": True, **more} if kept is not hint else more)


def _field(hint: Any, more: dict[str, Any]) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _field(arguments[0], more)
    if origin is Literal:
        return s.ChoiceField(choices=arguments, **more)
    if origin is Mapping:
        return s.JSONField(**more)
    if origin in (tuple, Sequence):
        return _list(arguments[0], more)
    if _is_record(hint):
        return shape(hint)(**more)
    return {str: s.CharField, float: s.FloatField, bool: s.BooleanField}[hint](**more)


def _list(hint: Any, more: dict[str, Any]) -> Any:
    if _is_record(hint):
        return shape(hint)(many=True, **more)
    return s.ListField(child=_field(hint, {}), **more)


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Record)
