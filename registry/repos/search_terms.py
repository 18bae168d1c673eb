"""The text that a search reads, and its conditions; databases find parts of words by trigrams (search_index.py)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import CharField, Func, Q, Value
from django.db.models.lookups import Contains

from registry.models import Repository
from registry.repos.lines import HasLine

FEW = 500  # repositories: sorting so many is faster than walking a sorted list until enough match
LONGEST = 16  # characters of a word looked up in SQLite's index: its end, which is more selective


def search_text(full_name: str, *parts: str, tags: Iterable[str] = (), triggers: str = "") -> str:
    """Return the text that a search looks in: lower case, the id first, separators opened, one tag a line.

    The trigger words end it, so that a gate can take them off; between tabs, no filter takes one for a tag.
    """
    words = " ".join([full_name, *parts]).lower()
    opened = words.replace("-", " ").replace("_", " ").replace("/", " ").replace(".", " ")
    return f"{words} {opened}\n" + "".join(f"{tag.lower()}\n" for tag in tags) + triggers


def words_of(repository: Repository) -> str:
    """Return the search text of a repository from its columns, for a new name."""
    facts = (repository.summary, repository.base, repository.kind, repository.task)
    triggers = "" if repository.gated else repository.triggers
    return search_text(repository.full_name, *facts, tags=repository.tags, triggers=triggers)


class FullName(Func):
    """The id that a search text begins with: namespace/name in lower case."""

    output_field = CharField()
    arity = 1

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="split_part(%(expressions)s, ' ', 1)", **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "substr(%(expressions)s, 1, instr(%(expressions)s, ' ') - 1)"
        return self.as_sql(compiler, connection, template=template, **context)


@dataclass(frozen=True)
class SearchTerms:
    """The conditions on a search text, in lower case.

    `parts` may be anywhere in it, `names` are parts of the id, and each of `tags` is a group of alternatives.
    """

    parts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    tags: tuple[tuple[str, ...], ...] = ()

    @property
    def condition(self) -> Q:
        condition = Q(*(Q(search_text__contains=part) for part in self.parts))
        condition &= Q(*(Q(Contains(FullName("search_text"), Value(part))) for part in self.names))
        for alternatives in self.tags:
            condition &= Q(HasLine("search_text", alternatives))
        return condition

    def few(self) -> list[int] | None:
        """Return the row ids of all matches, perhaps with others; None for more than FEW, or without an index.

        Both databases plan searches for words badly by themselves: they guess how many rows match.
        """
        if not self.condition:
            return None
        rows = _in_sqlite(self) if connection.vendor == "sqlite" else _in_postgresql(self)
        return rows if rows is not None and len(rows) <= FEW else None


def _in_postgresql(terms: SearchTerms) -> list[int] | None:
    if not terms.parts and not terms.names:
        return None  # it knows how often each tag occurs
    return list(Repository.objects.filter(terms.condition).values_list("pk", flat=True)[: FEW + 1])


def _in_sqlite(terms: SearchTerms) -> list[int] | None:
    phrases = [_phrase(part) for part in terms.parts]
    phrases += [f"name : {phrase}" for phrase in map(_phrase, terms.names) if phrase]
    phrases += [" OR ".join(_phrase(f"\n{tag}\n") for tag in tags) for tags in terms.tags]
    match = " AND ".join(f"({phrase})" for phrase in phrases if phrase)
    if not match:
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT rowid FROM repository_words WHERE repository_words MATCH %s LIMIT %s", [match, FEW + 1])
        return [row for (row,) in cursor.fetchall()]


def _phrase(text: str) -> str:
    """Return a part of a word as an FTS5 phrase, "" if it is shorter than a trigram."""
    return '"' + text[-LONGEST:].replace('"', '""') + '"' if len(text) >= 3 else ""
