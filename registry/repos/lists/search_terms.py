"""The text that a search reads, its conditions, and its order: nearness of the words to the name, verified, downloads.

Databases find parts of words by trigrams. Columns asked for one of many values PostgreSQL finds by an index of
arrays: lines, such as "\\nvllm\\nlorax\\n" or the tags in a search text, and facets, which are one array there, so
that a choice of several is one look into one index, however common each is. search_index.py has these indexes.

Few matches are read and sorted. Of many, each place where the words may be is read by itself, the nearest first, until
the page is full: by the index of words where few have them there, else on a walk through repository_by_standing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, reduce
from operator import and_, or_
from typing import Any

from django.db import connection
from django.db.models import (
    BigIntegerField,
    BooleanField,
    Case,
    CharField,
    ExpressionWrapper,
    F,
    Func,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.lookups import Contains, StartsWith

from registry.kernel.texts.cursors import Cursor, following
from registry.models import Repository

# The lines after the first line break; of a search text, the last are the trigger words, which begin with a tab.
POSTGRESQL_LINES = r"string_to_array(substr({column}, strpos({column}, E'\n') + 1), E'\n')"
FACETS = ("base", "kind", "task", "license", "outcome")
_NAMED = ", ".join(f"'{name}=' || {{table}}{name}" for name in FACETS)
POSTGRESQL_FACETS = f"(ARRAY[{_NAMED}] || {POSTGRESQL_LINES.format(column='{table}serves')})"


class HasLine(Func):
    """The condition that a column of the row holds one of these lines."""

    output_field = BooleanField()
    arity = 1

    def __init__(self, column: str, lines: Iterable[str]) -> None:
        super().__init__(column)
        self.lines = tuple(lines)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        column, params = compiler.compile(self.source_expressions[0])
        lines = [line for line in self.lines if line and not line.startswith("\t")]
        return f"{POSTGRESQL_LINES.format(column=column)} && %s::text[]", [*params, *params, lines]

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        column, params = compiler.compile(self.source_expressions[0])
        conditions = " OR ".join([f"instr({column}, %s) > 0"] * len(self.lines))
        return f"({conditions})", [part for line in self.lines for part in (*params, f"\n{line}\n")]


class _HasFacet(Func):
    """The condition that a repository has one of these facets; of PostgreSQL alone."""

    output_field = BooleanField()
    arity = 1

    def __init__(self, facets: Iterable[str]) -> None:
        super().__init__("kind")  # any column: it tells the alias of the table
        self.facets = tuple(facets)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        column, _ = compiler.compile(self.source_expressions[0])
        array = POSTGRESQL_FACETS.format(table=column.removesuffix('"kind"'))
        return f"{array} && %s::text[]", [[facet for facet in self.facets if facet]]


def has_value(name: str, values: Iterable[str]) -> Q:
    """Return the condition that a repository has one of these values in a column of FACETS."""
    if connection.vendor != "postgresql":
        return Q(**{f"{name}__in": values})
    return Q(_HasFacet(f"{name}={value}" for value in values))


def serves(engines: Iterable[str]) -> Q:
    """Return the condition that one of these engines serves a repository."""
    return Q(_HasFacet(engines) if connection.vendor == "postgresql" else HasLine("serves", engines))


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


NAME = "relevance"  # of the sort, and of the value that it sorts by
_VERIFIED, _PLACE = 1 << 32, 1 << 33  # what these add to the number of downloads


@dataclass(frozen=True)
class Place(Indexed):
    """The fields of a repository in which words of a search are looked for."""

    condition: Q
    phrases: str


def places(words: Sequence[str]) -> list[Place]:
    """Return where words, in lower case, may be, the nearest first: id or name, beginning of it, title, tags.

    Several words are spelled as names are, and each word of the id counts as one of the title.
    """
    if not words:
        return []
    names = sorted({sign.join(words) for sign in "-_."})
    begins = reduce(or_, (in_head(f"/{name}") for name in names))
    beginnings = any_of(phrase(f"/{name}", "name") for name in names)
    exact = Place(Q(name__lower__in=names), any_of(phrase(f"/{name} ", "name") for name in names))
    if "/" in names[0]:  # an id, or the beginning of one
        begins = reduce(or_, (Q(StartsWith(_HEAD, name)) for name in names))
        beginnings = any_of(phrase(name, "name") for name in names)
        ids = Q(name__lower__in=[name.rpartition("/")[2] for name in names])
        exact = Place(
            ids & reduce(or_, (Q(StartsWith(_HEAD, f"{name} ")) for name in names)),
            any_of(phrase(f"{name} ", "name") for name in names),
        )
    tagged = [Q(HasLine("search_text", [word])) | in_head(word) for word in words]
    tags = all_of(any_of([phrase(f"\n{word}\n"), phrase(word, "name")]) for word in words if phrase(word))
    return [
        exact,
        Place(begins, beginnings),
        Place(reduce(and_, map(in_head, words)), all_of(phrase(word, "name") for word in words)),
        Place(
            Q(HasLine("search_text", names)) | reduce(and_, tagged),
            any_of([*(phrase(f"\n{name}\n") for name in names), tags]) if tags else "",
        ),
    ]


_HEAD = Head("search_text")


def page(
    rows: QuerySet[Repository], terms: SearchTerms, position: Cursor | None, most: int, *, are_few: bool
) -> list[Repository]:
    """Return the rows that the terms match after a position, each with the value that it is sorted by.

    `are_few` if few rows are left by what else they are filtered by. On a walk the conditions of a place stand alone,
    though they imply those of the terms: PostgreSQL multiplies what it estimates of each, and would expect few rows.
    """
    near = places(terms.parts)
    levels = range(len(near), 0, -1)
    whens = [When(one.condition, then=Value(level * _PLACE)) for level, one in zip(levels, near, strict=True)]
    place = Case(*whens, default=Value(0), output_field=BigIntegerField())
    verified = Case(When(is_verified=True, then=Value(_VERIFIED)), default=Value(0), output_field=BigIntegerField())
    value = ExpressionWrapper(place + verified + F("downloads"), output_field=BigIntegerField())
    rows = rows.annotate(**{NAME: value}).order_by(f"-{NAME}", "-id")
    if are_few or terms.few is not None:
        rows = rows.filter(terms.condition)
        if terms.few is not None:
            rows = rows.filter(pk__in=terms.few)
        return following(rows, NAME, position, most) if position else list(rows[:most])
    found: list[Repository] = []
    for level, one in zip(range(len(near), -1, -1), [*near, Place(terms.condition, "")], strict=True):
        lowest = level * _PLACE
        is_read = position is not None and _number(position) < lowest
        if len(found) == most or is_read or one.few == []:
            continue
        here = rows.filter(one.condition, *(~nearer.condition for nearer in near[: len(near) - level]))
        if one.few is None:
            found += _walk(here, lowest, position, most - len(found))
        else:
            found += _rest(here.filter(pk__in=one.few), NAME, lowest, lowest + _PLACE, position, most - len(found))
    return found


def _walk(rows: QuerySet[Repository], place: int, position: Cursor | None, most: int) -> list[Repository]:
    """Return rows of one place, the verified ones first: an index has each half in order."""
    found: list[Repository] = []
    for lowest in (place + _VERIFIED, place):
        half = rows.filter(is_verified=lowest > place).order_by("-downloads", "-id")
        after = position and Cursor(_number(position) - lowest, position.row)
        found += _rest(half, "downloads", 0, _VERIFIED, after, most - len(found))
    return found


def _rest(
    rows: QuerySet[Repository], column: str, lowest: int, end: int, position: Cursor | None, most: int
) -> list[Repository]:
    """Return the rows after a position, whose values of the column are from `lowest` to below `end`."""
    if position is None or _number(position) >= end:
        return list(rows[:most])
    return following(rows, column, position, most) if _number(position) >= lowest else []


def _number(position: Cursor) -> int:
    assert not isinstance(position.value, datetime), "cursors of this order hold numbers"
    return int(position.value)
