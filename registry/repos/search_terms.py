"""The text that a search reads, and how each database finds parts of words: by trigrams (search_index.py)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import CharField, Func, Q, Value
from django.db.models.lookups import Contains

from registry.models import Repository

FEW = 500  # adapters: so many are sorted sooner than a list is walked until enough of them were met
LONGEST = 16  # signs of a word that are looked up in SQLite's index; its end tells more than its beginning


def search_text(full_name: str, *parts: str, tags: Iterable[str] = ()) -> str:
    """Return what the search looks in: lower case, the id first, separators opened, each tag on a line of its own."""
    words = " ".join([full_name, *parts]).lower()
    opened = words.replace("-", " ").replace("_", " ").replace("/", " ").replace(".", " ")
    return f"{words} {opened}\n" + "".join(f"{tag.lower()}\n" for tag in tags)


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
    """What a search text must hold, in lower case.

    `parts` are anywhere in it, `names` are parts of the id; of each of `tags`, which are alternatives, one is there.
    """

    parts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    tags: tuple[tuple[str, ...], ...] = ()

    @property
    def condition(self) -> Q:
        found = Q(*(Q(search_text__contains=part) for part in self.parts))
        found &= Q(*(Q(Contains(FullName("search_text"), Value(part))) for part in self.names))
        for alternatives in self.tags:
            found &= Q(*(Q(search_text__contains=f"\n{tag}\n") for tag in alternatives), _connector=Q.OR)
        return found

    def few(self) -> list[int] | None:
        """Return the adapters with all this, or some more; None where they are more than FEW, or nobody can tell.

        Both databases plan a search for words badly by themselves: they guess how many rows hold them.
        """
        if not self.condition:
            return None
        found = _in_sqlite(self) if connection.vendor == "sqlite" else _in_any(self)
        return found if found is not None and len(found) <= FEW else None


def _in_any(wanted: SearchTerms) -> list[int]:
    return list(Repository.objects.filter(wanted.condition).values_list("pk", flat=True)[: FEW + 1])


def _in_sqlite(wanted: SearchTerms) -> list[int] | None:
    phrases = [_phrase(part) for part in wanted.parts]
    phrases += [found and f"name : {found}" for found in map(_phrase, wanted.names)]
    phrases += [" OR ".join(_phrase(f"\n{tag}\n") for tag in tags) for tags in wanted.tags]
    match = " AND ".join(f"({phrase})" for phrase in phrases if phrase)
    if not match:
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT rowid FROM repository_words WHERE repository_words MATCH %s LIMIT %s", [match, FEW + 1])
        return [row for (row,) in cursor.fetchall()]


def _phrase(text: str) -> str:
    """Return a part of a word as FTS5 looks for it, "" where it is shorter than a trigram."""
    return '"' + text[-LONGEST:].replace('"', '""') + '"' if len(text) >= 3 else ""
