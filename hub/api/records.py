"""Answers of our REST: their JSON and their shapes in the OpenAPI document, both from their annotations alone."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, overload

from django.http import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as s
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from dovetail.adapters.results import records, report, usage
from dovetail.answers.record import Answer, Format, OneOf, Page, bare, members
from dovetail.answers.versions import Deprecated, WithdrawnWeights, Yanked
from registry.kernel.policy import Caller
from registry.models import Repository, Revision
from registry.repos import digests
from registry.repos.manifest import Entry

T = TypeVar("T", bound=Answer)
Method = TypeVar("Method", bound=Callable[..., Any])
Shape = type[s.Serializer[Any]]
# Names in the OpenAPI document that are others than in the code.
NAMES: Mapping[Any, str] = {
    report.CheckResult: "Check",
    usage.Answer: "TryAnswer",
    usage.Side: "TrySide",
    usage.Share: "TryShare",
    usage.Mark: "TryMark",
}
FORMATS = {"date-time": s.DateTimeField, "date": s.DateField, "uri": s.URLField, "email": s.EmailField}
PLAIN = {
    str: s.CharField,
    int: s.IntegerField,
    float: s.FloatField,
    bool: s.BooleanField,
    object: s.JSONField,
    Any: s.JSONField,
}


class _Encoder(JSONEncoder):
    def default(self, obj: Any) -> Any:
        return obj.as_json() if isinstance(obj, Answer | records.Record) else super().default(obj)


class Renderer(JSONRenderer):
    """Writes answers as JSON, in the order of their fields."""

    encoder_class = _Encoder


@overload
def text_of(at: datetime) -> str: ...
@overload
def text_of(at: datetime | None) -> str | None: ...
def text_of(at: datetime | None) -> str | None:
    """Return a time as answers state it: ISO 8601, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def of_row(answer: type[T], row: object, **stated: object) -> T:
    """Return an answer whose members are the attributes of a row of the same name, but for those that are stated."""
    values = {
        member.name: getattr(row, member.name)
        for member in members(answer)
        if member.name not in stated and not member.may_be_left_out
    }
    values |= stated
    return answer(**{name: text_of(value) if isinstance(value, datetime) else value for name, value in values.items()})


def operation(
    id: str,
    *,
    query: Any = (),
    body: Any = None,
    status: int = 200,
    answers: Any = None,
    description: str = "",
    callers: Literal["", "anyone", "token", "session"] = "",
    example: Mapping[str, object] | None = None,
) -> Callable[[Method], Method]:
    """Make a method of a view one operation: it returns the record of its answer, or nothing (204).

    OpenAPI takes its summary and description from the docstring, and the answer's shape from the annotation; `answers`
    has records by status, or what drf-spectacular takes, for a method that returns a response. `callers` says who may
    call it, where that is not any person or robot, and `example` is a body of it.
    """

    def decorate(method: Method) -> Method:
        record = method.__annotations__["return"]
        said = answers or ({204: None} if record is None else {status: record})
        summary, _, more = inspect.cleandoc(method.__doc__ or "").partition("\n")

        @functools.wraps(method)
        def answered(*args: Any, **kwargs: Any) -> HttpResponseBase:
            answer = method(*args, **kwargs)
            if isinstance(answer, HttpResponseBase):
                return answer
            return Response(answer, 204 if answer is None else status)

        answered.__doc__ = None  # where there is no description, the generator would take the summary for one
        described = extend_schema(
            operation_id=id,
            summary=summary.rstrip("."),
            description=description or " ".join(more.split()) or None,
            parameters=query if isinstance(query, list) else [query] if query else [],
            request=body,
            responses={at: shape(one) if _is_record(one) else one for at, one in said.items()},
            extensions={"x-callers": callers, "x-example": example},
        )
        return cast(Method, described(answered))

    return decorate


def _is_record(answer: Any) -> bool:
    return is_dataclass(get_origin(answer) or answer)


@functools.cache
def shape(record: Any) -> Shape:
    """Return the serializer by which the OpenAPI document describes a record."""
    fields = {
        member.name: _field(member.hint, **({"required": False} if member.may_be_left_out else {}))
        for member in members(record)
    }
    name = NAMES.get(record) or "".join(one.__name__ for one in (*get_args(record), get_origin(record) or record))
    doc = record.__doc__ if record.__doc__ and get_origin(record) is not Page else None
    return type(name, (s.Serializer,), {"__doc__": doc, **fields})


def _field(hint: Any, **more: Any) -> Any:
    kind, extras, may_be_none = bare(hint)
    if may_be_none and "required" not in more:
        more["allow_null"] = True
    for extra in extras:
        if isinstance(extra, str):
            more["help_text"] = extra
        elif isinstance(extra, type):
            kind = extra
    origin, arguments = get_origin(kind), get_args(kind)
    choices = next((one.texts for one in extras if isinstance(one, OneOf)), arguments if origin is Literal else None)
    if choices:
        return s.ChoiceField(choices=choices, **more)
    if formatted := next((one.name for one in extras if isinstance(one, Format)), ""):
        return FORMATS[formatted](**more)
    if origin is Mapping:
        return s.DictField(child=_field(arguments[1]), **more)
    if origin is not None:  # tuple or sequence
        return _list(arguments[0], more)
    return PLAIN[kind](**more) if kind in PLAIN else shape(kind)(**more)


def _list(hint: Any, more: Mapping[str, Any]) -> Any:
    child = _field(hint)
    return type(child)(many=True, **more) if isinstance(child, s.Serializer) else s.ListField(child=child, **more)


def yank_of(revision: Revision) -> Yanked | None:
    """Return the yank of a revision, if it is yanked."""
    return Yanked(reason=revision.yank_reason, at=text_of(revision.yanked_at)) if revision.yanked_at else None


def deprecation_of(repository: Repository) -> Deprecated | None:
    """Return the deprecation of an adapter, if it is deprecated."""
    if repository.deprecated_at is None:
        return None
    return Deprecated(
        message=repository.deprecation,
        successor=repository.successor or None,
        at=text_of(repository.deprecated_at),
    )


def withdrawn_weights_of(revision: Revision, entries: Mapping[str, Entry], by: Caller) -> WithdrawnWeights | None:
    """Return the yanked revision that holds weights among these files of another, as the contract shows it."""
    if (found := digests.find_withdrawn(revision, entries, by)) is None or (yank := yank_of(found.revision)) is None:
        return None
    name, oid = found.revision.repository.full_name, found.revision.oid
    return WithdrawnWeights(adapter=name, revision=oid, path=found.path, reason=yank.reason, at=yank.at)
