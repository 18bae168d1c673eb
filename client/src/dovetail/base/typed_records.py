"""Answers of a hub as typed records: required members are checked when they arrive, and a newer hub may say more."""

import functools
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T", bound="Answer")


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer(Mapping[str, Any]):
    """An answer of a hub: attributes with types, and the JSON object itself as a mapping, with what is newer."""

    document: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __getitem__(self, key: str) -> Any:
        return self.document[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.document)

    def __len__(self) -> int:
        return len(self.document)


def read(cls: type[T], document: object) -> T:
    """Return the answer that a JSON value states. Raises ValueError if a required member is missing or another type."""
    if not isinstance(document, dict):
        raise ValueError(f"{cls.__name__} is not an object")
    values: dict[str, Any] = {}
    for row, hint in _members(cls):
        key = row.metadata.get("key", row.name)
        is_required = row.default is MISSING and row.default_factory is MISSING
        try:
            values[row.name] = _value(hint, document.get(key))
        except ValueError:
            if is_required:
                raise ValueError(f"{key} of {cls.__name__} is missing or of another type") from None
    return cls(**values, document=document)


@functools.cache
def _members(cls: type[Answer]) -> tuple[tuple[Field[Any], Any], ...]:
    hints = get_type_hints(cls)
    return tuple((row, hints[row.name]) for row in fields(cls) if row.name != "document")


def _value(hint: Any, given: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return None if given is None else _value(next(one for one in arguments if one is not type(None)), given)
    if origin is tuple:
        _require(isinstance(given, list))
        return tuple(_value(arguments[0], item) for item in given)
    if origin is Mapping:
        _require(isinstance(given, dict))
        return given
    if isinstance(hint, type) and issubclass(hint, Answer):
        return read(hint, given)
    if hint is object:
        return given
    kinds = (int, float) if hint is float else hint
    _require(isinstance(given, kinds) and (hint is bool or not isinstance(given, bool)))
    return given


def _require(is_right: bool) -> None:
    if not is_right:
        raise ValueError("another type")
