"""The order of a search by relevance: how near its words are to the name, then what is verified, then downloads.

Few matches are read and sorted. Of many, each place where the words may be is read by itself, the nearest first, until
the page is full: by the index of words where few have them there, else on a walk through repository_by_standing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import and_, or_

from django.db.models import BigIntegerField, Case, ExpressionWrapper, F, Q, QuerySet, Value, When
from django.db.models.lookups import StartsWith

from registry.kernel.texts.cursors import Cursor, following
from registry.models import Repository
from registry.repos.lists.lines import HasLine
from registry.repos.lists.search_terms import Head, Indexed, SearchTerms, all_of, any_of, in_head, phrase

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
