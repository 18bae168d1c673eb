"""Counts over lists of repositories: how many match, facets, bases; the kept counts.

Kept counts of public repositories are folded from the rows that triggers added, and corrected where they are wrong.
Where a query asks for nothing but facets, they are added up, however many repositories match. For other queries at most
MOST matches are read; a tally of more says so (`is_capped`).
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial, reduce
from operator import and_, or_
from time import monotonic
from typing import Any

from django.core.cache import caches
from django.db import connection, transaction
from django.db.models import Case, Count, Q, QuerySet, Sum, When
from django.utils import timezone

from dovetail.adapters.serving import ENGINES
from registry.kernel.capacity import bounded
from registry.kernel.policy import NOBODY, Caller, in_reach, listed_to
from registry.kernel.texts.cursors import Cursor, Page
from registry.models import AuditEvent, Base, CatalogueCount, Namespace, Repository
from registry.repos.lists.catalog import (
    FACETS,
    GROUPS,
    MAX_PAGE,
    Query,
    facet_conditions,
    is_kept,
    kept_conditions,
    matching_repositories,
    with_known_bases,
)
from registry.sql import counts
from registry.sql.counts import CORRECT, VALUES

COMMONEST = 12  # values of a facet that are offered
BASES_READ = 50  # the commonest of the public ones, whose number grows with the hub
MOST = 1_000  # matches that are read to be counted
MANY = 250  # repositories: counts over more of them are cached for COUNTED_SECONDS
COUNTED_SECONDS = 50  # what is held back is in no answer after a minute
_COLUMNS = {  # facet → the columns that it is counted from
    "verdict": ("outcome",),
    **{name: (column,) for name, column in FACETS.items()},
    "engine": ("serves",),
}
_ENGINES = frozenset(engine.name for engine in ENGINES)


@dataclass(frozen=True)
class Tally:
    """The number of repositories that a query matches, and for each facet the number by value.

    A facet ignores its own choice, so that its alternatives stay visible. Where `is_capped`, each number is that of the
    matches which were read: there are at least as many.
    """

    rows: int
    facets: dict[str, Counter[str]]
    is_capped: bool = False

    @property
    def commonest(self) -> dict[str, list[tuple[str, int]]]:
        """For each facet its commonest values and their counts."""
        ranked = {}
        for name, values in self.facets.items():
            counts = [(value, n) for value, n in values.items() if value and (name != "engine" or value in _ENGINES)]
            ranked[name] = sorted(counts, key=lambda row: (-row[1], row[0]))[:COMMONEST]
        return ranked

    def __add__(self, other: "Tally") -> "Tally":
        facets = {name: self.facets[name] + other.facets[name] for name in GROUPS}
        return Tally(self.rows + other.rows, facets, self.is_capped or other.is_capped)


def count_matches(by: Caller, query: Query) -> int:
    """Return the number of repositories that match, or the least that it is; a large number may be a minute old."""
    query = replace(query, sort=Query.sort, ascending=Query.ascending)
    if not is_kept(query):
        return tally(by, query).rows
    query = with_known_bases(query)
    rows = cached("sum", query, lambda: Tally(counts.total(kept_conditions(query)), {})).rows
    if by.roles or by.is_staff:
        own = beyond_public(by, query)[:MOST]
        rows += cached(f"own sum {identity(by)}", query, lambda: Tally(own.count(), {})).rows
    return rows


def count_owned(by: Caller, owner: Namespace, type: str) -> Tally:
    """Count what the caller sees of an owner's repositories of a type, without facets; one query."""
    rows = Repository.objects.filter(listed_to(by), type=type, namespace=owner).order_by()
    count = rows[: MOST + 1].count()
    return Tally(min(count, MOST), {}, is_capped=count > MOST)


def tally(by: Caller, query: Query) -> Tally:
    """Count what the caller sees: public repositories once for all callers, and their own ones besides."""
    query = replace(query, sort=Query.sort, ascending=Query.ascending)
    if not is_kept(query):
        return _read_for(by, query)
    query = with_known_bases(query)
    public = cached("kept", query, lambda: _from_counts(query))
    if not by.roles and not by.is_staff:
        return public
    own = _beyond(by, query)
    if rarer := set(own.facets["base"]) - set(public.facets["base"]):
        public.facets["base"].update(dict(_sums_by_base(query).filter(base__in=rarer)))
    return public + own


def _read_for(by: Caller, query: Query) -> Tally:
    if by.is_staff:  # sees more than the public and their own
        return cached(f"staff {identity(by)}", query, lambda: _from_rows(query, partial(matching_repositories, by)))
    public = cached("read", query, lambda: _from_rows(query, partial(matching_repositories, NOBODY)))
    if not by.roles:
        return public
    return public + _beyond(by, query)


def _beyond(by: Caller, query: Query) -> Tally:
    matches = partial(beyond_public, by)
    return cached(f"own {identity(by)}", query, lambda: _from_rows(query, matches))


def identity(by: Caller) -> str:
    return f"{by.user and by.user.pk} {by.token and by.token.pk}"


def beyond_public(by: Caller, query: Query) -> QuerySet[Repository]:
    """Return those of the matches that the public does not see."""
    rows = matching_repositories(by, query)
    if by.is_staff:
        return rows.filter(Q(is_main_held=True) | Q(private=True) & in_reach(by))
    return rows.filter(in_reach(by)).exclude(listed_to(NOBODY, elsewhere="upstream" in query.source))


def cached(scope: str, query: Query, count: Callable[[], Tally]) -> Tally:
    """Count, unless it was done just now: web processes share a cache of counts over many rows."""
    identity = repr((scope, query)).encode("utf-8", "surrogatepass")
    key = f"tally:{hashlib.sha256(identity).hexdigest()}"
    known: Mapping[str, Any] | None = caches["default"].get(key)  # as JSON has it
    if known is not None:
        facets = {name: Counter(counts) for name, counts in known["facets"].items()}
        return Tally(known["rows"], facets, known["is_capped"])
    counted = count()
    if counted.rows > MANY:
        caches["default"].set(key, vars(counted), COUNTED_SECONDS)
    return counted


# --- by the kept counts ----------------------------------------------------------------------------------------------
def _from_counts(query: Query) -> Tally:
    """Add up the kept counts; one query."""
    facets: dict[str, Counter[str]] = {facet: Counter() for facet in ("", *GROUPS)}
    for facet, value, n in counts.by_value(kept_conditions(query), BASES_READ):
        for part in {*value.split("\n")} if facet == "engine" else [value]:
            facets[facet][part] += n
    rows = facets.pop("").total()
    return Tally(rows, {facet: +values for facet, values in facets.items()})


def _sums_by_base(query: Query) -> QuerySet[CatalogueCount, Any]:
    """Return the pairs of a base and its count, for a query without its choice of bases."""
    conditions = kept_conditions(query)
    conditions.pop("base", None)
    counts = CatalogueCount.objects.filter(*conditions.values(), base__isnull=False).exclude(base="")
    return counts.order_by().values_list("base").annotate(n=Sum("number"))


# --- by reading what matches -----------------------------------------------------------------------------------------
def _from_rows(query: Query, matches: Callable[[Query], QuerySet[Repository]]) -> Tally:
    """Read at most MOST matches, and as many again that match but for one of the chosen facets; two queries."""
    query = with_known_bases(query)
    chosen = facet_conditions(query)
    with bounded("count"):
        counted = _read(matches(query))
        if not chosen:
            return counted
        without: dict[str, Any] = dict.fromkeys(chosen, ())
        holds = {f"has_{name}": Case(When(condition, then=True), default=False) for name, condition in chosen.items()}
        but_for_one = [[condition for name, condition in chosen.items() if name != other] for other in chosen]
        any_of_these = reduce(or_, (reduce(and_, conditions, Q()) for conditions in but_for_one))
        rows = matches(replace(query, **without)).filter(any_of_these).annotate(**holds).order_by()
        columns = {name: _COLUMNS[name][0] for name in chosen}
        read = list(rows.values(*columns.values(), *holds)[: MOST + 1])
    for name, column in columns.items():
        others = [f"has_{other}" for other in chosen if other != name]
        values = [row[column] for row in read[:MOST] if all(row[other] for other in others)]
        counted.facets[name] = _values(name, [values])
    return replace(counted, is_capped=counted.is_capped or len(read) > MOST)


def _read(rows: QuerySet[Repository], facets: Sequence[str] = GROUPS) -> Tally:
    """Read at most MOST of the rows and count their values of these facets."""
    names = [column for facet in facets for column in _COLUMNS[facet]]
    read = list(rows.order_by().values_list(*names)[: MOST + 1])
    columns = dict(zip(names, zip(*read[:MOST], strict=True), strict=False)) or dict.fromkeys(names, ())
    return Tally(
        len(read[:MOST]),
        {facet: _values(facet, [columns[column] for column in _COLUMNS[facet]]) for facet in facets},
        is_capped=len(read) > MOST,
    )


def _values(facet: str, columns: Sequence[Sequence[Any]]) -> Counter[str]:
    """Count the values of a facet from its columns of the rows that were read."""
    if facet != "engine":
        return Counter(columns[0])
    counts: Counter[str] = Counter()
    for serves, n in Counter(columns[0]).items():
        counts.update(dict.fromkeys(filter(None, serves.split("\n")), n))
    return counts


# --- bases -----------------------------------------------------------------------------------------------------------
def count_by_base(by: Caller, names: Iterable[str]) -> dict[str, int]:
    """Return base id → number of models with that base that the caller may see; without those that no model names."""
    names = set(names)
    counts = Counter(dict(_sums_by_base(Query()).filter(base__in=names)))
    if by.roles or by.is_staff:
        own = beyond_public(by, Query()).filter(base__in=names).order_by()
        counts.update(dict(own.values_list("base").annotate(Count("pk"))))
    return dict(+counts)


def _count_all_bases(by: Caller) -> dict[str, int]:
    counts: dict[str, int] | None = caches["default"].get("bases")
    if counts is None:
        counts = {base: n for base, n in _sums_by_base(Query()) if n > 0}
        if sum(counts.values()) > MANY:
            caches["default"].set("bases", counts, COUNTED_SECONDS)
    if not by.roles and not by.is_staff:
        return counts
    with bounded("count"):
        own = _read(beyond_public(by, Query()), ["base"]).facets["base"]
    return dict(Counter(counts) + Counter({id: n for id, n in own.items() if id}))


@dataclass(frozen=True)
class BaseLine:
    """A base in a list, the number of visible adapters that name it, and its row if the base is here."""

    id: str
    adapters: int
    base: Base | None


def list_bases(by: Caller, *, words: Iterable[str] = (), cursor: str = "", limit: int = MAX_PAGE) -> Page[BaseLine]:
    """Return one page of the bases that visible adapters name or the base cache holds, the commonest first.

    With `words`, in lower case, those whose id has all of them. Raises ValueInvalid for a cursor that is not ours.
    """
    known = Base.objects.values_list("id", flat=True)
    counts = dict.fromkeys(known, 0) | _count_all_bases(by)
    words = tuple(words)
    ranked = sorted((-count, id) for id, count in counts.items() if all(word in id.lower() for word in words))
    if cursor:
        position = Cursor.verify(cursor, "bases")
        ranked = [row for row in ranked if row > (position.value, position.row)]
    page = ranked[: max(1, min(limit, MAX_PAGE))]
    known_bases = Base.objects.in_bulk([id for _, id in page])
    lines = [BaseLine(id, -negated, known_bases.get(id)) for negated, id in page]
    return Page(lines, Cursor(*page[-1]).sign("bases") if len(ranked) > len(page) else "")


Group = tuple[Any, ...]  # the values of the columns in VALUES
logger = logging.getLogger(__name__)
AT_ONCE = 2_000  # new rows that are read together
SECONDS = 10.0  # of one run, every half minute
TOGETHER = 100  # groups in one statement
MOST_ROWS = 20_000  # that one statement folds: a bulk import writes more, which the next run takes
INDEXED = tuple(VALUES)[:5]  # as the index catalogue_count_group has them
CORRECTED_AT = 3  # hour of the day, UTC
OWNER_ACTS = ("person:suspend", "person:unsuspend", "person:leave", "person:return")  # by which an owner's lists change
OWNERS_LOOKED_BACK = timedelta(hours=2)  # a run each hour looks at each act twice: a push may end after the first


def fold_waiting(seconds: float = SECONDS) -> None:
    """Fold new rows until there are none, or the time is over: many verdicts at once leave thousands."""
    ends = monotonic() + seconds
    while fold() == AT_ONCE and monotonic() < ends:
        pass


def fold(most: int = AT_ONCE) -> int:
    """Fold new rows into one row for each group of repositories; return how many rows were new."""
    new = list(CatalogueCount.objects.filter(is_folded=False).order_by("pk")[:most])
    groups = sorted({_group_of(row) for row in new}, key=repr)  # in one order, so that two workers wait and never lock
    for at in range(0, len(groups), TOGETHER):
        _fold_groups(groups[at : at + TOGETHER])
    return len(new)


def _group_of(row: CatalogueCount) -> Group:
    return tuple(getattr(row, name) for name in VALUES)


def _fold_groups(groups: Sequence[Group]) -> None:
    """Leave one row of each group, with their sum; locked, so that two workers never add the same rows."""
    condition = Q()
    for values in {group[: len(INDEXED)] for group in groups}:
        named = dict(zip(INDEXED, values, strict=True))
        missing = {f"{name}__isnull": True for name, value in named.items() if value is None}
        condition |= Q(**missing, **{name: value for name, value in named.items() if value is not None})
    with transaction.atomic():
        rows = CatalogueCount.objects.select_for_update().filter(condition).order_by("pk")[:MOST_ROWS]
        kept: dict[Group, CatalogueCount] = {}
        gone: list[int] = []
        for row in rows:
            if (group := _group_of(row)) not in groups:
                continue
            first = kept.setdefault(group, row)
            if first is not row:
                first.number += row.number
                gone.append(row.pk)
            first.is_folded = True
        gone += [row.pk for row in kept.values() if not row.number]
        CatalogueCount.objects.filter(pk__in=gone).delete()
        CatalogueCount.objects.bulk_update([row for row in kept.values() if row.number], ["number", "is_folded"])


def correct_due(hour: int) -> None:
    """Correct the counts in one hour of the day, and after each change of an owner: it reads every repository.

    A suspension that meets a push to the same namespace can leave a count wrong, because neither sees the other; no
    lock of theirs would be worth it, so the next hour mends it.
    """
    if (hour == CORRECTED_AT or _an_owner_changed()) and (wrong := correct()):
        logger.warning("%d counts of the catalogue were wrong, and are corrected", wrong)


def _an_owner_changed() -> bool:
    newest = [AuditEvent.objects.filter(action=act).order_by("-id").values_list("at", flat=True) for act in OWNER_ACTS]
    since = timezone.now() - OWNERS_LOOKED_BACK
    return any(at > since for times in newest for at in times[:1])


def correct() -> int:
    """Compare each count with the repositories, and correct it by one more row; return how many were wrong."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL statement_timeout = 0")  # that of the server is for requests
        cursor.execute(CORRECT)
        return int(cursor.rowcount)
