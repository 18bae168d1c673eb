"""An adapter's card (its README.md): the metadata its author states, and its text as safe HTML; knows no repository."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import yaml
from django.core.cache import cache
from django.utils.html import escape

from registry import markdown

MAX_CARD_BYTES = 1 << 20
MAX_METADATA_BYTES = 64 << 10
MAX_DEPTH = 16
RENDER_SECONDS = 2.0
CACHE_SECONDS = 7 * 24 * 3600

Value: TypeAlias = "None | bool | int | float | str | list[Value] | dict[str, Value]"

_FRONT_MATTER = re.compile(r"\A\ufeff?\s*---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Card:
    """What the front matter says (JSON values only), the Markdown below it, and why the metadata could not be read."""

    data: dict[str, Value] = field(default_factory=dict)
    body: str = ""
    problem: str | None = None

    @property
    def license(self) -> str:
        return _word(self.data.get("license"))

    @property
    def base_model(self) -> str:
        return _word(self.data.get("base_model"))

    @property
    def task(self) -> str:
        return _word(self.data.get("pipeline_tag"))

    @property
    def library(self) -> str:
        return _word(self.data.get("library_name"))

    @property
    def languages(self) -> list[str]:
        return _words(self.data.get("language"))

    @property
    def datasets(self) -> list[str]:
        return _words(self.data.get("datasets"))

    @property
    def tags(self) -> list[str]:
        return _words(self.data.get("tags"))

    @property
    def summary(self) -> str:
        """One line for lists: the stated description, else the first paragraph of prose; at most 200 characters."""
        return _shortened(
            _word(self.data.get("description")) or _word(self.data.get("summary")) or _first_prose(self.body)
        )


def metadata(readme: str) -> Card:
    """Split a README into metadata and text; never raises: unreadable metadata is empty, with the reason in `problem`.

    The YAML is the harmless part of YAML 1.2: no tags, anchors, aliases or merge keys, at most 64 kB and 16 levels, and
    `no` is a language, not a boolean. Dates stay the text that the author wrote.
    """
    found = _FRONT_MATTER.match(readme)
    if found is None:
        return Card(body=readme)
    body = readme[found.end() :]
    try:
        return Card(data=_mapping(found[1]), body=body)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return Card(body=body, problem=_reason(error))


def html(body: str, *, files: str, pages: str) -> str:
    """The text as safe HTML, cached by its digest; a text that is too large or too slow is shown as it was written.

    Rendering happens in a process of its own with 2 s to live: Markdown and highlighting are written by strangers, and
    both have inputs that take a quadratic time. Relative images read below `files`, relative links below `pages`.
    """
    key = hashlib.sha256(f"{body}\0{files}\0{pages}".encode("utf-8", "replace")).hexdigest()
    known: str | None = cache.get(f"card:1:{key}")
    if known is not None:
        return known
    shown = _rendered(body, files, pages) or f"<pre>{escape(body[:MAX_CARD_BYTES])}</pre>"
    cache.set(f"card:1:{key}", shown, CACHE_SECONDS)
    return shown


def _rendered(body: str, files: str, pages: str) -> str | None:
    if len(body.encode("utf-8", "replace")) > MAX_CARD_BYTES:
        return None
    job = json.dumps({"text": body, "files": files, "pages": pages})
    program = [sys.executable, "-I", str(Path(markdown.__file__))]
    try:
        done = subprocess.run(
            program,
            input=job,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={},
            timeout=RENDER_SECONDS + 1,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        return None
    return done.stdout


class _PlainLoader(yaml.CSafeLoader):
    """YAML 1.2's core scalars only: 1.1 reads `no` as false, `1:30` as ninety and dates as objects."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


for _tag, _pattern, _starts in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]{0,17})", list("-+0123456789")),
    (
        "float",
        r"[-+]?([0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9]{1,18}(?=[eE]))([eE][-+]?[0-9]{1,3})?",
        list("-+0123456789."),
    ),
):
    _PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _starts)


def _mapping(text: str) -> dict[str, Value]:
    if len(text.encode()) > MAX_METADATA_BYTES:
        raise ValueError("the metadata is over 64 kB")
    depth = 0
    for event in yaml.parse(text, Loader=_PlainLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        _refuse_unless_plain(event, depth)
    loaded = yaml.load(text, Loader=_PlainLoader)  # a subclass of CSafeLoader: builds no objects
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ValueError("the metadata is not a list of “key: value” lines")
    return {str(key): _value(value) for key, value in loaded.items()}


def _refuse_unless_plain(event: yaml.Event, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError("the metadata is nested more than 16 levels deep")
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise ValueError("anchors and aliases (& and *) are not allowed; write the value out")
    if getattr(event, "tag", None) not in (None, "!"):
        raise ValueError("tags (!) are not allowed; write a plain value")


def _value(value: Any) -> Value:
    if isinstance(value, dict):
        return {str(key): _value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise ValueError("a number is too large")
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error) if isinstance(error, ValueError) else "the metadata cannot be read"
    return f"line {mark.line + 2} of the card is not valid YAML: {getattr(error, 'problem', '')}".rstrip(": ")


def _word(value: Value) -> str:
    """A single short text, also where an author wrote a list of one."""
    if isinstance(value, list):
        value = value[0] if value else None
    return str(value).strip()[:200] if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _words(value: Value) -> list[str]:
    return [word for word in map(_word, value if isinstance(value, list) else [value]) if word]


def _first_prose(body: str) -> str:
    for block in re.split(r"\n\s*\n", body[:20_000]):
        text = block.strip()
        if text and text[0] not in "#<>|!-*=`[" and not text.startswith("    "):
            return re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*_]", r"\1", text)
    return ""


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199].rsplit(" ", 1)[0] + "…"
