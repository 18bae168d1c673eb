"""Frozen dataclasses as JSON and back; the annotations of a record are the one definition of its JSON.

A record is read in two ways. `parse` checks every value, because uploaded weights may have influenced the JSON. `read`
trusts JSON that a hub stored or served, fills in fields that an older hub left out, and ignores those of a newer one.
"""

import functools
import json
import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from typing import Annotated, Any, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

JsonObject = dict[str, Any]  # parsed JSON, of which nobody has proven more
MAX_TEXT = 4000
MAX_ITEMS = 256  # no less than the rows of an evaluation (workers/engine/evals/rows.py)
MAX_DEPTH = 3
LARGEST = 1e300
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

T = TypeVar("T", bound="Record")


class Malformed(ValueError):
    """JSON that is not the record it should be; the message is for operators."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The longest text. `exact` refuses values that are otherwise cut, filled in or left out, and changes no character.

    So an exact record, written again, is not longer than the JSON that was read.
    """

    text: int = MAX_TEXT
    exact: bool = False


LIMITS = Limits()
Parser = Callable[[Any, Limits], Any]
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Slot:
    """One field of a record, as its annotation and its metadata describe it."""

    name: str
    parse: Parser
    read: Convert | None  # None: the JSON value is the value
    write: Convert | None
    is_required: bool
    is_trusted: bool  # set by the hub alone: never taken from a parsed document
    is_optional: bool  # left out of the JSON while it is None
    absent: Any  # metadata "absent": the value that `parse` uses for a missing one; MISSING: the field's own default


# Metadata of fields.
TRUSTED = {"trusted": True}  # the hub alone sets it: `parse` ignores it
SPARSE = {"optional": True}  # it is left out of the JSON while it is None
OPTIONAL = {"trusted": True, "optional": True}  # and it is left out of the JSON while it is None


class Record:
    """Base of the frozen dataclasses that are JSON elsewhere."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object, limits: Limits = LIMITS) -> Self:
        """Return the record in hostile JSON: unknown keys are dropped, long texts cut. Raises `Malformed`."""
        return parse(cls, value, limits)

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Self:
        """Return the record in JSON that this hub wrote, an older or a newer one. Raises TypeError without a key."""
        return read(cls, value)

    def as_json(self) -> JsonObject:
        """Return the record as JSON values; the fields are in the order of their declaration."""
        document: JsonObject = {}
        for slot in slots(type(self)):
            value = getattr(self, slot.name)
            if value is not None or not slot.is_optional:
                document[slot.name] = value if slot.write is None or value is None else slot.write(value)
        return document


def load(line: bytes) -> JsonObject:
    """Return the JSON object of one line. Raises `Malformed`, also for NaN and infinity."""
    try:
        document = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as problem:
        raise Malformed(f"not JSON: {line[:80]!r}") from problem
    if not isinstance(document, dict):
        raise Malformed(f"not an object: {line[:80]!r}")
    return document


def parse(cls: type[T], value: object, limits: Limits = LIMITS) -> T:
    """Do what `Record.parse` says; a class that overrides it calls this."""
    if not isinstance(value, dict):
        raise Malformed(f"expected an object, got {type(value).__name__}")
    rows = [slot for slot in slots(cls) if not slot.is_trusted]
    if limits.exact and value.keys() != {slot.name for slot in rows if slot.name in value or not slot.is_optional}:
        raise Malformed(f"unexpected keys for a {cls.__name__}: {sorted(map(str, value))[:20]}")
    values = {}
    for slot in rows:
        given = value.get(slot.name)
        if given is not None:
            values[slot.name] = slot.parse(given, limits)
        elif slot.is_required:
            raise Malformed(f"{slot.name} is missing")
        elif slot.absent is not MISSING:
            values[slot.name] = slot.absent
    return cls(**values)


def read(cls: type[T], value: Mapping[str, Any]) -> T:
    """Do what `Record.read` says; a class that overrides it calls this."""
    values = {}
    for slot in slots(cls):
        given = value.get(slot.name)
        if given is not None:
            values[slot.name] = given if slot.read is None else slot.read(given)
    return cls(**values)


# --- from annotations to converters ----------------------------------------------------------------------------------
_SLOTS: dict[type[Record], tuple[Slot, ...]] = {}


def slots(cls: type[Record]) -> tuple[Slot, ...]:
    """Return the fields of a record, in their order."""
    if cls not in _SLOTS:
        hints = get_type_hints(cls, include_extras=True)
        rows: tuple[Field[Any], ...] = fields(cls)  # type: ignore[arg-type]  # every record is a dataclass
        _SLOTS[cls] = tuple(_slot(row, hints[row.name]) for row in rows)
    return _SLOTS[cls]


def _slot(row: Field[Any], hint: Any) -> Slot:
    hint = without_none(hint)
    is_required = row.default is MISSING and row.default_factory is MISSING
    metadata = row.metadata
    return Slot(
        row.name,
        _parser(hint),
        _reader(hint),
        _writer(hint),
        is_required,
        metadata.get("trusted", False),
        metadata.get("optional", False),
        metadata.get("absent", MISSING),
    )


def without_none(hint: Any) -> Any:
    """Return X of `X | None`, and of `Annotated[X, "a description"]`; any other annotation as it is."""
    if get_origin(hint) is Annotated and isinstance(get_args(hint)[1], str):
        return without_none(get_args(hint)[0])
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    (inner,) = (part for part in get_args(hint) if part is not type(None))
    return inner


def _parser(hint: Any) -> Parser:
    """Return the function that checks a value of hostile JSON against an annotation."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _both(_parser(arguments[0]), arguments[1])
    if origin is Literal:
        return functools.partial(_one_of, arguments)
    if origin in (tuple, Sequence):
        return functools.partial(_items, _parser(arguments[0]))
    if origin is Mapping:
        return _object
    if isinstance(hint, type) and issubclass(hint, Record):
        return hint.parse
    return {str: _text, float: _number, bool: _truth}[hint]


def _reader(hint: Any) -> Convert | None:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (tuple, Sequence):
        inner = _reader(arguments[0])
        return tuple if inner is None else lambda values: tuple(map(inner, values))
    return hint.read if isinstance(hint, type) and issubclass(hint, Record) else None


def _writer(hint: Any) -> Convert | None:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (tuple, Sequence):
        inner = _writer(arguments[0])
        return list if inner is None else lambda values: list(map(inner, values))
    return hint.as_json if isinstance(hint, type) and issubclass(hint, Record) else None


# --- values of hostile JSON ------------------------------------------------------------------------------------------
def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _both(first: Parser, check: Convert) -> Parser:
    return lambda value, limits: check(first(value, limits))


def _text(value: Any, limits: Limits) -> str:
    if not isinstance(value, str):
        raise Malformed(f"expected text, got {type(value).__name__}")
    if limits.exact:
        if len(value) > limits.text:
            raise Malformed(f"a text of {len(value)} characters; the limit is {limits.text}")
        return value
    clean = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value[: limits.text])  # databases refuse NUL and surrogates
    return clean if len(value) <= limits.text else clean[:-1] + "…"


def _number(value: Any, limits: Limits) -> float:
    if type(value) not in (int, float) or abs(value) > LARGEST or not math.isfinite(value):
        raise Malformed(f"expected a finite number, got {str(value)[:40]}")
    number: float = value
    return number


def _truth(value: Any, limits: Limits) -> bool:
    if not isinstance(value, bool):
        raise Malformed(f"expected true or false, got {str(value)[:40]}")
    return value


def _one_of(choices: tuple[str, ...], value: Any, limits: Limits) -> str:
    if value not in choices:
        raise Malformed(f"expected one of {', '.join(choices)}, got {str(value)[:40]!r}")
    return str(value)


def _items(parser: Parser, value: Any, limits: Limits) -> tuple[Any, ...]:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise Malformed(f"expected a list of at most {MAX_ITEMS}")
    return tuple(parser(item, limits) for item in value)


def _object(value: Any, limits: Limits) -> JsonObject:
    if not isinstance(value, dict):
        raise Malformed(f"expected an object, got {type(value).__name__}")
    plain: JsonObject = _plain(value, limits, MAX_DEPTH)
    return plain


def _plain(value: Any, limits: Limits, depth: int) -> Any:
    """Return plain JSON that is shallow and small; texts of an exact record may be of any length here."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value if limits.exact else _text(value, limits)
    if isinstance(value, int | float):
        return _number(value, limits)
    if depth and len(value) <= MAX_ITEMS:
        if isinstance(value, list):
            return [_plain(item, limits, depth - 1) for item in value]
        return {_plain(key, limits, 0): _plain(item, limits, depth - 1) for key, item in value.items()}
    raise Malformed("the facts are nested too deeply or too many")
