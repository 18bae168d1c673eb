"""The facts of a revision as columns of the catalogue, which lists, filters and searches read."""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from django.db.models import Case, When

from registry.repos import bases
from registry.repos.contents.facts import Facts
from registry.repos.lists.search_terms import search_text
from registry.repos.manifest import Entry
from registry.sql.prepared import as_value

MAX_TAGS, MAX_TAG = 200, 200
MAX_TARGETS = MAX_TRIGGERS = 500  # characters of the column


class Described(TypedDict):
    """Columns of the catalogue that describe a revision; texts without a value are empty."""

    summary: str
    format: str
    kind: str
    base: str
    base_revision: str
    targets: str  # between line breaks
    task: str
    license: str
    rank: int | None


class Columns(Described):
    """All columns that follow from the files of a revision, but for its search text."""

    parameters: int
    size: int  # bytes
    tags: list[str]
    triggers: str  # between tabs


def described(facts: Facts) -> Described:
    """Return the facts of a revision as columns of the catalogue: kind, rank, base, task and so on."""
    description = facts.description
    candidates = [description.base] if description and description.base in facts.bases else facts.bases
    rank = description.rank if description else None
    return {
        "summary": clean(facts.summary)[:300],
        "format": clean(description.format)[:32] if description else "",
        "kind": clean(description.kind or "")[:32] if description else "",
        "base": bases.canonical_name(candidates[0]) if candidates else "",
        "base_revision": clean(description.base_revision or "")[:64] if description else "",
        "targets": _lines(description.target_modules) if description else "",
        "task": clean(facts.task)[:64],
        "license": clean(facts.card.license)[:64],
        "rank": rank if rank is not None and 0 <= rank < 1 << 31 else None,
    }


def columns(entries: Mapping[str, Entry], facts: Facts) -> Columns:
    """Return all columns that follow from the files of a revision, but for its search text."""
    return {
        **described(facts),
        "parameters": facts.parameter_count,
        "size": sum(entry.size for entry in entries.values()),
        "tags": [clean(tag)[:MAX_TAG] for tag in facts.tags[:MAX_TAGS]],
        "triggers": _triggers(facts.words),
    }


def with_words(full_name: str, facts: Facts, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return columns with `text` and `ungated_text`, of which `searched` makes the search text."""
    words = [full_name, *(str(columns[key]) for key in ("summary", "base", "kind", "task"))]
    text = search_text(*words, title=clean(facts.title), tags=columns["tags"])
    return {**columns, "text": text, "ungated_text": text + columns["triggers"]}


def searched(text: str, ungated_text: str, **columns: Any) -> dict[str, Any]:
    """Return columns with the search text; the row decides about trigger words, which a gate hides."""
    return columns | {"search_text": Case(When(gated="", then=as_value(ungated_text)), default=as_value(text))}


def _triggers(words: Iterable[str]) -> str:
    """Return words as a column, in lower case between tabs; those beyond its length are left out."""
    column = "\t"
    for word in words:
        part = f"{clean(word).lower()}\t"
        if len(column) + len(part) <= MAX_TRIGGERS:
            column += part
    return column if column != "\t" else ""


def _lines(names: Iterable[str]) -> str:
    """Return names as a column that can be searched for whole ones; those beyond its length are left out."""
    column = "\n"
    for name in names:
        line = f"{clean(name)}\n"
        if "\n" not in name and len(column) + len(line) <= MAX_TARGETS:
            column += line
    return column if column != "\n" else ""


def clean(text: str) -> str:
    """Return the text without characters that a database refuses: NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
