"""The operator's file as it is written: its entries, each key of which is taken once, and the records in it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml
from django.utils.dateparse import parse_date, parse_datetime

from registry.kernel.errors import RegistryError, ValueInvalid
from registry.kernel.texts import plain_yaml

MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class RequestedBase:
    """A base model to add to the base cache from a package or a folder, or to know by its config.json alone."""

    id: str
    package: str
    path: str
    config: str = ""


@dataclass(frozen=True)
class Quota:
    """The limits of one owner; None for the hub's own."""

    bytes: int | None
    repositories: int | None
    reason: str


class Entry:
    """One mapping of the file. Every key is taken once; keys left over at the end are mistakes."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ValueInvalid(f"{where}: this is not a mapping of names to values.", fix="Write `{name: …}` there.")
        self.where, self._left, self._known = where, dict(value), set[str]()

    def take(self, key: str, kind: type, name: str) -> Any:
        """Return the value of a key if it is there and of that type; None when it is not there."""
        self._known.add(key)
        value = self._left.pop(key, None)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            fix = "Put it in quotes." if kind is str and isinstance(value, int | float | bool) else ""
            raise ValueInvalid(f"{self.where}: {key} must be {name}, not {value!r}.", fix=fix)
        return value

    def text(self, key: str) -> str | None:
        """Return a text, or None when the file does not say."""
        value: str | None = self.take(key, str, "a text")
        return value

    def needed(self, key: str) -> str:
        """Return a text that must be there."""
        value = self.text(key)
        if not value:
            raise ValueInvalid(f"{self.where}: {key} is missing.", fix=f"Add `{key}: …`.")
        return value

    def entries(self, key: str) -> list[object]:
        """Return a list, empty when it is not there."""
        return list(self.take(key, list, "a list") or [])

    def amount(self, key: str) -> int | None:
        """Return a limit: a whole number, or 0 for `none`; None when the file does not say."""
        if self._left.get(key) == "none":
            self._left[key] = 0
        amount: int | None = self.take(key, int, "a whole number or none")
        return amount

    def quota(self) -> "Quota | None":
        """Return the limits under `quota`, None when the file names none."""
        if "quota" not in self._left:
            self._known.add("quota")
            return None
        entry = Entry(self.take("quota", dict, "a mapping") or {}, f"{self.where}: quota")
        quota = Quota(entry.amount("bytes"), entry.amount("repositories"), entry.text("reason") or "")
        entry.end()
        return quota

    def words(self, key: str) -> dict[str, str]:
        """Return a mapping of names to texts, empty when it is not there."""
        mapping = Entry(self.take(key, dict, "a mapping") or {}, f"{self.where}: {key}")
        return {name: mapping.needed(name) for name in list(mapping._left)}

    def parts(self, key: str) -> list["Entry"]:
        """Return a list of mappings as entries, empty when it is not there."""
        return [Entry(value, f"{self.where}: {key}[{n}]") for n, value in enumerate(self.entries(key))]

    def lists(self, key: str) -> dict[str, list[str]]:
        """Return a mapping of names to texts or lists of texts, each as a list."""
        mapping = Entry(self.take(key, dict, "a mapping") or {}, f"{self.where}: {key}")
        return {name: mapping._texts(name) for name in list(mapping._left)}

    def _texts(self, key: str) -> list[str]:
        if not isinstance(self._left.get(key), list):
            return [self.needed(key)]
        texts = self.entries(key)
        if not all(isinstance(text, str) for text in texts):
            raise ValueInvalid(f"{self.where}: {key} must contain strings.", fix="Put each value in quotes.")
        return [str(text) for text in texts]

    def end(self) -> None:
        """Refuse keys that nobody took."""
        if self._left:
            keys = ", ".join(repr(key) for key in self._left)
            raise ValueInvalid(
                f"{self.where}: unknown key {keys}.", fix=f"Known here: {', '.join(sorted(self._known))}."
            )


def parse(text: str) -> object:
    """Return the document of a file of YAML or JSON. Raises ValueInvalid."""
    try:
        if text.lstrip().startswith("{"):  # JSON is YAML but for its escapes of characters beyond the first 65,536
            return json.loads(text, object_pairs_hook=_without_doubles)
        return plain_yaml.parse_mapping(text, most=MAX_BYTES, what="the file")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, json.JSONDecodeError) else plain_yaml.describe_error(error)
        raise ValueInvalid(f"The file cannot be read: {why}.", fix="Correct it; nothing was changed.") from None


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key is there twice in one object")
    return mapping


@contextmanager
def at(where: str) -> Iterator[None]:
    """Add the place in the file to a refusal of the domain."""
    try:
        yield
    except RegistryError as error:
        if error.detail.startswith(where):
            raise
        raise ValueInvalid(f"{where}: {error.detail}", fix=error.fix) from error


def moment(text: str | None) -> datetime | None:
    """Return the time that a text names, in UTC if it names no zone; a date means its first moment."""
    if text is None:
        return None
    try:
        day = parse_date(text)
        moment = datetime(day.year, day.month, day.day) if day else parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise ValueInvalid(f"expires_at {text!r} is not a timestamp.", fix="Write it as 2027-01-01T00:00:00Z.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
