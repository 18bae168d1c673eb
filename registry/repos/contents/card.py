"""A repository's card (README.md): its metadata, and its text as safe HTML; knows no repository."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from django.core.cache import cache
from django.utils.html import escape

from registry.kernel.texts import markdown, plain_yaml
from registry.kernel.texts.plain_yaml import Value

MAX_CARD_BYTES = 1 << 20
MAX_METADATA_BYTES = 64 << 10
MAX_HTML = 256 << 10  # characters
RENDER_SECONDS = 2.0  # while a page waits
PATIENT_SECONDS = 30.0  # of a worker, after a push
CACHE_SECONDS, AGAIN_SECONDS = 7 * 24 * 3600, 600

# Phrases of the default card of peft and transformers, which say nothing about the model.
_TEMPLATE = (
    "Users (both direct and downstream) should be made aware",
    "Use the code below to get started",
    "Carbon emissions can be estimated",
    "This is the model card of a",
)
_TEMPLATE_TITLE = "Model Card for Model ID"
_TITLE = re.compile(r"^#[ \t]+(\S.*?)[ \t#]*$", re.MULTILINE)
_FRONT_MATTER = re.compile(r"\A\ufeff?\s*---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Card:
    """The front matter (JSON values only), the Markdown below it, and the reason if the metadata could not be read."""

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
    def title(self) -> str:
        """The stated title, else the first heading, unless it is that of a template; at most 200 characters."""
        heading = _TITLE.search(self.body[:20_000])
        stated = _word(self.data.get("title")) or _word(self.data.get("pretty_name"))
        title = stated or (heading[1][:200] if heading else "")
        return "" if title == _TEMPLATE_TITLE else title

    @property
    def summary(self) -> str:
        """One line for lists: the stated description, else the first paragraph of prose; at most 200 characters."""
        return _shortened(
            _word(self.data.get("description")) or _word(self.data.get("summary")) or _first_prose(self.body)
        )


def read_card(folder: Path) -> Card:
    """Return the card of files that lie in a folder; an empty one where there is none or it is too large."""
    readme = folder / "README.md"
    if not readme.is_file() or readme.stat().st_size > MAX_CARD_BYTES:
        return Card()
    return parse_card(readme.read_text(errors="replace"))


def parse_card(readme: str) -> Card:
    """Split a README into metadata and text; never raises: unreadable metadata is empty, with the reason in `problem`.

    The YAML is the harmless part of YAML 1.2: no tags, anchors, aliases or merge keys, at most 64 kB and 16 levels, and
    `no` is a language, not a boolean. Dates stay the text that the author wrote.
    """
    front_matter = _FRONT_MATTER.match(readme)
    if front_matter is None:
        return Card(body=readme)
    body = readme[front_matter.end() :]
    try:
        data = plain_yaml.parse_mapping(front_matter[1], most=MAX_METADATA_BYTES, what="the metadata")
        return Card(data=data, body=body)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return Card(body=body, problem=plain_yaml.describe_error(error, first_line=2))


def render_card(
    body: str, *, files: str, pages: str, references: Mapping[str, str] | None = None, only_known: bool = False
) -> str:
    """Return the text as safe HTML, cached by its digest; a text that is too large or too slow is shown unrendered.

    Relative images lie below `files`, relative links below `pages`, and texts of `references` link to their addresses.
    With `only_known`, only cached HTML is used.
    """
    named = sorted((references or {}).items())
    key = hashlib.sha256(json.dumps([body, files, pages, named]).encode("utf-8", "replace")).hexdigest()
    html: str | None = cache.get(f"card:4:{key}")
    if html is None and not only_known:
        html = render_once(body, files=files, pages=pages, references=references)
        # A failure may be due to a busy machine, so it is cached for a short time only.
        cache.set(f"card:4:{key}", html, CACHE_SECONDS if html else AGAIN_SECONDS)
    return html or unrendered(body)


def render_once(
    body: str, *, files: str, pages: str, references: Mapping[str, str] | None = None, seconds: float | None = None
) -> str:
    """Return the text as safe HTML, or "" if it is too large or took too long; see `render_markdown`.

    Rendering runs in a process of its own, limited to 2 s of processor time and `seconds`: strangers write the text,
    and both Markdown and highlighting have inputs that take quadratic time.
    """
    if len(body.encode("utf-8", "replace")) > MAX_CARD_BYTES:
        return ""
    job = json.dumps({"text": body, "files": files, "pages": pages, "references": references or {}})
    program = [sys.executable, "-I", str(Path(markdown.__file__))]
    try:
        done = subprocess.run(
            program,
            input=job,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={},
            timeout=RENDER_SECONDS + 1 if seconds is None else seconds,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        return ""
    return done.stdout if len(done.stdout) <= MAX_HTML else ""  # it is kept in memory and in rows


def unrendered(body: str) -> str:
    """Return the text as it was written, in HTML."""
    return f"<pre>{escape(body[:MAX_CARD_BYTES])}</pre>"


def _word(value: Value) -> str:
    """Return a single short text, also if the author wrote a list of one."""
    if isinstance(value, list):
        value = value[0] if value else None
    return str(value).strip()[:200] if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _words(value: Value) -> list[str]:
    return [word for word in map(_word, value if isinstance(value, list) else [value]) if word]


def _first_prose(body: str) -> str:
    for block in re.split(r"\n\s*\n", body[:20_000]):
        text = block.strip()[:2000]  # only a line is shown; unclosed links take quadratic time to find
        if text and not text.startswith(_TEMPLATE) and text[0] not in "#<>|!-*=`[" and not text.startswith("    "):
            return re.sub(r"\[\^[^\]]*\]|\[([^\]]*)\]\([^)]*\)|~~|[`*_]", r"\1", text)
    return ""


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199].rsplit(" ", 1)[0] + "…"
