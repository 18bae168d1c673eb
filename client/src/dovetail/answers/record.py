"""The base of the answers: frozen records whose annotations are the one definition of their JSON.

A text beside a type, as in `Annotated[int, "bytes"]`, is what the OpenAPI document says of the member; a record beside
a mapping describes a JSON object that is passed on as it is.
"""

import functools
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from dovetail.adapters.results.records import JsonObject, Record

T = TypeVar("T")
LEFT_OUT = {"optional": True}  # metadata of a field that is not in the JSON while it is None


class Format(NamedTuple):
    """The format of a text, by its name in the OpenAPI specification."""

    name: str


class OneOf:
    """The texts that a member may be today; a newer hub may know others."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts


Time = Annotated[str, Format("date-time")]  # ISO 8601
Day = Annotated[str, Format("date")]
Url = Annotated[str, Format("uri")]
RepositoryType = Annotated[str, OneOf("model", "dataset", "space")]


@typing.dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False, field_specifiers=(field,))
class Answer:
    """A JSON object of the REST interface. Subclasses are dataclasses; `needs` names members that none may lack."""

    required: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, needs: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.required |= set(needs.split())
        doc, cls.__doc__ = cls.__doc__, cls.__doc__ or cls.__name__  # without one, it would make a slow one of its own
        dataclass(frozen=True, eq=False, kw_only=True)(cls)
        cls.__doc__ = doc

    def as_json(self) -> JsonObject:
        """Return the members; those that are records are still records."""
        return {
            member.name: value
            for member in members(type(self))
            if (value := getattr(self, member.name)) is not None or not member.may_be_left_out
        }


class MappedAnswer(Answer, Mapping[str, Any]):
    """An answer that is also the JSON object that it was read from, with members that are newer than this client."""

    @functools.cached_property
    def document(self) -> Mapping[str, Any]:
        return self.as_json()

    def __getitem__(self, key: str) -> Any:
        return self.document[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.document)

    def __len__(self) -> int:
        return len(self.document)


class Page(Answer, Generic[T], needs="items"):
    items: tuple[T, ...]
    next: Url | None


class Member(NamedTuple):
    """A field of an answer."""

    name: str
    hint: Any
    may_be_left_out: bool


def members(cls: Any) -> tuple[Member, ...]:
    """Return the fields of a dataclass in their order; of `Page[Alias]` with the type of its items."""
    if cls not in _MEMBERS:
        record, arguments = get_origin(cls) or cls, get_args(cls)
        hints = get_type_hints(record, include_extras=True)
        rows = [(row, hints[row.name]) for row in fields(record)]
        _MEMBERS[cls] = tuple(
            Member(
                row.name,
                hint[arguments] if arguments and getattr(hint, "__parameters__", ()) else hint,
                row.metadata.get("optional", False),
            )
            for row, hint in rows
        )
    return _MEMBERS[cls]


_MEMBERS: dict[Any, tuple[Member, ...]] = {}


def read(cls: type[T], document: object) -> T:
    """Return the answer that a JSON value states; unknown members are ignored.

    A member that is missing or of another type is the empty value of its type. Raises ValueError if it is a required
    one, or an item of a list.
    """
    record: Any = get_origin(cls) or cls
    if not isinstance(document, dict):
        raise ValueError(f"{record.__name__} is not an object")
    values: dict[str, object] = {}
    for member in members(cls):
        try:
            values[member.name] = _value(member.hint, document.get(member.name))
        except ValueError:
            if member.name in record.required:
                raise ValueError(f"{member.name} of {record.__name__} is missing or of another type") from None
            values[member.name] = _empty(member.hint)
    answer = record(**values)
    if isinstance(answer, MappedAnswer):
        vars(answer)["document"] = document
    return typing.cast(T, answer)


def bare(hint: Any) -> tuple[Any, tuple[Any, ...], bool]:
    """Return an annotation without its extras and None, the extras, and whether it may be None."""
    extras: tuple[Any, ...] = ()
    may_be_none = False
    while (origin := get_origin(hint)) in (Annotated, typing.Union, types.UnionType):
        if origin is Annotated:
            hint, *more = get_args(hint)
            extras += tuple(more)
        else:
            (hint,) = (part for part in get_args(hint) if part is not type(None))
            may_be_none = True
    return hint, extras, may_be_none


def _value(hint: Any, given: Any) -> Any:
    kind, _, may_be_none = bare(hint)
    origin, arguments = get_origin(kind), get_args(kind)
    if given is None and may_be_none:
        return None
    if origin is tuple:
        _require(isinstance(given, list))
        return tuple(_value(arguments[0], item) for item in given)
    if origin is Mapping:
        _require(isinstance(given, dict))
        return given
    if isinstance(kind, type) and issubclass(kind, Answer):
        return read(kind, given)
    if isinstance(kind, type) and issubclass(kind, Record):
        return _record(kind, given)
    if kind is object:
        return given
    kinds = (int, float) if kind is float else kind
    _require(isinstance(given, kinds) and (kind is bool or not isinstance(given, bool)))
    return given


def _record(kind: type[Record], given: Any) -> Record:
    _require(isinstance(given, dict))
    try:
        return kind.read(given)
    except TypeError as problem:
        raise ValueError(str(problem)) from None


def _empty(hint: Any) -> Any:
    kind, _, may_be_none = bare(hint)
    if may_be_none or kind is object:
        return None
    if isinstance(kind, type) and issubclass(kind, Answer):
        return read(kind, {})
    return {} if get_origin(kind) is Mapping else (get_origin(kind) or kind)()


def _require(is_right: bool) -> None:
    if not is_right:
        raise ValueError("another type")
