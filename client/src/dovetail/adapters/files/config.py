"""Reads an adapter_config.json as strictly as JSON allows; `kinds` interprets its keys."""

import json
import re
from collections.abc import Callable, Mapping
from typing import BinaryIO

MAX_BYTES = 256 * 2**10
MAX_DEPTH = 8
MAX_STRING = 4096
MAX_ITEMS = 20_000

NAME = "adapter_config.json"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
Config = dict[str, object]


class ConfigError(ValueError):
    """The file is not a JSON object that every reader understands in the same way."""


def read(file: BinaryIO) -> Config:
    """Read one JSON object: UTF-8 without BOM, no duplicate key, no NaN or Infinity, bounded in size and depth."""
    raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"it is larger than the {MAX_BYTES // 1024} kB allowed")
    try:
        parsed = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except ConfigError:
        raise
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"it is not JSON ({error})") from error
    if not isinstance(parsed, dict):
        raise ConfigError("it is not a JSON object")
    _bound(parsed, MAX_DEPTH)
    return parsed


def text(config: Config, key: str) -> str | None:
    value = config.get(key)
    return value.strip() or None if isinstance(value, str) else None


def whole(config: Config, key: str) -> int | None:
    value = config.get(key)
    return value if type(value) is int else None


def number(config: Config, key: str) -> float | None:
    value = config.get(key)
    return float(value) if isinstance(value, int | float) and type(value) is not bool else None


def names(config: Config, key: str) -> tuple[str, ...]:
    """Return the strings under a key that may hold a list or a single one."""
    value = config.get(key)
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def wrong_fields(config: Config, rules: Mapping[str, Callable[[object], bool]]) -> list[str]:
    """Return the fields whose value is not allowed; a missing field is allowed."""
    return [field for field, fits in rules.items() if field in config and not fits(config[field])]


def said_field(config: Config, field: str, file: str = NAME) -> str:
    """Return a field and its value as the beginning of a sentence."""
    return f"{file} says {field} = {repr(config.get(field))[:60]}"


def _unique(pairs: list[tuple[str, object]]) -> Config:
    parsed = dict(pairs)
    if len(parsed) != len(pairs):
        raise ConfigError("it has a key twice")
    return parsed


def _no_constant(name: str) -> None:
    raise ConfigError(f"it contains {name}, which is not a JSON number")


def _bound(value: object, depth: int) -> None:
    if depth == 0:
        raise ConfigError(f"it is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str) and len(value) > MAX_STRING:
        raise ConfigError(f"it contains a string of {len(value):,} characters; the limit is {MAX_STRING:,}")
    if isinstance(value, str) and _UNSTORABLE.search(value):
        raise ConfigError("it contains a string with NUL or half of a surrogate pair, which no file or page can store")
    if isinstance(value, int | float) and not -(2**53) < value < 2**53:
        raise ConfigError("it contains a number that is out of range")
    if isinstance(value, list | dict):
        if len(value) > MAX_ITEMS:
            raise ConfigError(f"it contains a list of {len(value):,} items")
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            _bound(item, depth - 1)
