"""The text that a search reads, and its conditions; databases find parts of words by trigrams (search_index.py)."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import CharField, Func, Q
from django.db.models.lookups import Contains

from registry.models import Repository
from registry.repos.lists.lines import HasLine

FEW = 500  # repositories: sorting so many is faster than walking a sorted list until enough match
LONGEST = 16  # characters of a word looked up in SQLite's index: its end, which is more selective
END = "\v"  # of the head of a search text: the id and the title; texts written by older releases have none
POSTGRESQL_HEAD = (
    r"(CASE WHEN strpos({text}, E'\x0b') > 0 THEN split_part({text}, E'\x0b', 1)"
    r" ELSE split_part({text}, ' ', 1) || ' ' END)"
)
SQLITE_HEAD = (
    "(CASE WHEN instr({text}, char(11)) > 0 THEN substr({text}, 1, instr({text}, char(11)) - 1)"
    " ELSE substr({text}, 1, instr({text}, ' ')) END)"
)


def search_text(full_name: str, *parts: str, title: str = "", tags: Iterable[str] = (), triggers: str = "") -> str:
    """Return the text that a search looks in: lower case, id and title first, separators opened, one tag a line.

    The trigger words end it, so that a gate can take them off; between tabs, no filter takes one for a tag.
    """
    head, words = f"{full_name} {' '.join(title.split())}".lower(), " ".join(parts).lower().replace(END, " ")
    opened = f"{head} {words}".replace("-", " ").replace("_", " ").replace("/", " ").replace(".", " ")
    return f"{head}{END}{words} {opened}\n" + "".join(f"{tag.lower()}\n" for tag in tags) + triggers


def words_of(repository: Repository) -> str:
    """Return the search text of a repository from its columns, for a new name; the title stays as it is."""
    facts = (repository.summary, repository.base, repository.kind, repository.task)
    triggers = "" if repository.gated else repository.triggers
    head, end, _ = repository.search_text.partition(END)
    title = head.partition(" ")[2] if end else ""
    return search_text(repository.full_name, *facts, title=title, tags=repository.tags, triggers=triggers)


class FullName(Func):
    """The id that a search text begins with: namespace/name in lower case."""

    output_field = CharField()
    arity = 1

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="split_part(%(expressions)s, ' ', 1)", **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "substr(%(expressions)s, 1, instr(%(expressions)s, ' ') - 1)"
        return self.as_sql(compiler, connection, template=template, **context)


class Head(Func):
    """The head of a search text: the id, a space, and the title of the card."""

    output_field = CharField()
    arity = 1

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self._compile(POSTGRESQL_HEAD, compiler)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self._compile(SQLITE_HEAD, compiler)

    def _compile(self, template: str, compiler: Any) -> Any:
        column, params = compiler.compile(self.source_expressions[0])
        return template.format(text=column), [*params] * template.count("{text}")


def in_head(part: str) -> Q:
    """Return the condition that the id or the title holds a part of a word, in lower case."""
    return Q(Contains(Head("search_text"), part))


class Indexed:
    """A condition on search texts that an index of words answers, at least in part."""

    condition: Q
    phrases: str  # of SQLite's index, which find all matches, perhaps with others; "" where no phrase is long enough

    @cached_property
    def few(self) -> list[int] | None:
        """The row ids of all matches, perhaps with others; None for more than FEW, or without an index.

        Both databases plan searches for words badly by themselves: they guess how many rows match.
        """
        if not self.condition:
            return None
        rows = _in_sqlite(self.phrases) if connection.vendor == "sqlite" else self._in_postgresql()
        return rows if rows is not None and len(rows) <= FEW else None

    def _in_postgresql(self) -> list[int] | None:
        return list(Repository.objects.filter(self.condition).values_list("pk", flat=True)[: FEW + 1])


@dataclass(frozen=True)
class SearchTerms(Indexed):
    """The conditions on a search text, in lower case.

    `parts` may be anywhere in it, `names` are parts of the id, and each of `tags` is a group of alternatives.
    """

    parts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    tags: tuple[tuple[str, ...], ...] = ()

    @property
    def condition(self) -> Q:  # type: ignore[override]  # derived here, a field of the base class
        condition = Q(*(Q(search_text__contains=part) for part in self.parts))
        for part in self.names:  # the index is that of heads
            condition &= in_head(part) & Q(Contains(FullName("search_text"), part))
        for alternatives in self.tags:
            condition &= Q(HasLine("search_text", alternatives))
        return condition

    @property
    def phrases(self) -> str:  # type: ignore[override]  # as above
        groups = [phrase(part) for part in self.parts] + [phrase(part, "name") for part in self.names]
        return all_of([*groups, *(any_of(phrase(f"\n{tag}\n") for tag in tags) for tags in self.tags)])

    def _in_postgresql(self) -> list[int] | None:
        if not self.parts and not self.names:
            return None  # it knows how often each tag occurs
        return super()._in_postgresql()


def _in_sqlite(phrases: str) -> list[int] | None:
    if not phrases:
        return None
    with connection.cursor() as cursor:
        found = "SELECT rowid FROM repository_words WHERE repository_words MATCH %s LIMIT %s"
        cursor.execute(found, [phrases, FEW + 1])
        return [row for (row,) in cursor.fetchall()]


def phrase(text: str, column: str = "") -> str:
    """Return a part of a word as an FTS5 phrase, in one column of the index; "" if it is shorter than a trigram."""
    where = f"{column} : " if column else ""
    return where + '"' + text[-LONGEST:].replace('"', '""') + '"' if len(text) >= 3 else ""


def all_of(phrases: Iterable[str]) -> str:
    """Return the FTS5 expression that all of the phrases hold; those that are "" are left out."""
    return " AND ".join(f"({one})" for one in phrases if one)


def any_of(phrases: Iterable[str]) -> str:
    """Return the FTS5 expression that one of the phrases holds; "" if one is "", which finds more."""
    found = list(phrases)
    return " OR ".join(f"({one})" for one in found) if all(found) else ""
