"""Lists of repositories: search, filters, pages, and the verdict beside each line; tallies.py counts. Only reads.

PostgreSQL estimates badly how many repositories match several facets, because its statistics take columns for
independent, and walks a sorted list to its end where it expects more matches than there are. So the kept counts choose:
few matches are read and sorted; many are met soon on a walk through the index repository_listed, which reads no row of
the table; for other sorts the index of all facets finds them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest

from registry.kernel.capacity import bounded
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import NOBODY, Caller, listed_to
from registry.kernel.texts.cursors import Cursor, Page, following
from registry.models import Base, Membership, Namespace, Repository, Verdict
from registry.repos import bases
from registry.repos.lists import search_terms
from registry.repos.lists.search_terms import HasLine, SearchTerms, has_value, serves
from registry.repos.pull import LAST_SAID_LAST
from registry.repos.refs import HEX, MAIN, SHORTEST_OID, VERIFIED
from registry.sql import counts

Item = TypeVar("Item")
MAX_PAGE = 100
MAX_WISHES = 50  # values of one filter; each tag is a condition of its own, and databases limit their number
SORTS = {
    "updated": "updated_at",
    "created": "created_at",
    "downloads": "downloads",
    "likes": "likes",
    "trending": "trending",
    "score": "score",
    search_terms.NAME: search_terms.NAME,
}
FACETS = {"base": "base", "kind": "kind", "task": "task", "license": "license"}
GROUPS = ("verdict", *FACETS, "engine")  # all that the kept counts are grouped by and lists offer
_KEPT = frozenset({*GROUPS, "archived", "gated", "only_verified", "type", "sort", "ascending", "has_known_bases"})
_UNFINISHED = {"queued", "running"}
READ_AS_VERIFIED = Q(is_verified=True) | Q(state="") | ~Q(type=Repository.Type.MODEL)  # below /verified
FEW = search_terms.FEW  # public matches of several facets that are read and sorted
TAGGED = 20_000  # repositories whose tags are counted


@dataclass(frozen=True)
class Query:
    """A search. Values of one field are alternatives; different fields must all hold."""

    q: str = ""
    verdict: Sequence[str] = ()
    base: Sequence[str] = ()
    has_known_bases: bool = False  # they are under the names that repositories have for them
    base_revision: Sequence[str] = ()
    target: Sequence[str] = ()  # modules that the adapter changes: q_proj …
    kind: Sequence[str] = ()
    task: Sequence[str] = ()
    license: Sequence[str] = ()
    engine: Sequence[str] = ()  # that serve it: vllm, sglang …
    author: Sequence[str] = ()
    tag: Sequence[str] = ()
    language: Sequence[str] = ()
    all_tags: Sequence[str] = ()  # all of them must hold, as the Hub's clients expect
    id_words: Sequence[str] = ()  # each is a part of namespace/name, as the Hub's clients search
    rank_min: int | None = None
    rank_max: int | None = None
    size_min: int | None = None  # bytes
    size_max: int | None = None
    parameters_min: int | None = None
    parameters_max: int | None = None
    gated: bool | None = None
    source: Sequence[str] = ()  # upstream: those alone that are read from other hubs
    archived: Sequence[str] = ()  # hide: leave out what is archived
    only_verified: bool = False  # what can be read below /verified
    only_measured: bool = False  # what has a score
    type: str = "model"
    sort: str = "updated"
    ascending: bool = False


@dataclass(frozen=True, slots=True)
class ListedVerdict:
    """The verdict that a list shows: the one in force of `verified`, of main where nothing is verified.

    `newest` is that of main where main is another revision.
    """

    verdict: Verdict
    newest: Verdict | None = None


@dataclass(frozen=True, slots=True)
class SearchPage(Page[Repository]):
    """One page of a search, with the verdict beside each line."""

    verdicts: dict[int, ListedVerdict] = field(default_factory=dict)  # by repository id


def search(by: Caller, query: Query, *, cursor: str = "", limit: int = 30, with_verdicts: bool = True) -> SearchPage:
    """Return one page of repositories the caller may see, newest first by the chosen sort unless `ascending`.

    A constant number of queries. Raises ValueInvalid for an unknown sort or a cursor that is not ours.
    """
    if query.sort not in SORTS:
        raise ValueInvalid(f"Unknown sort order {query.sort!r}.", fix=f"Use one of {', '.join(SORTS)}.")
    column, limit, query = SORTS[query.sort], max(1, min(limit, MAX_PAGE)), with_known_bases(query)
    position = Cursor.verify(cursor, column) if cursor else None  # one of another sort holds another kind of value
    is_plain = replace(query, sort=Query.sort, ascending=Query.ascending, type=Query.type) == Query()
    with nullcontext() if is_plain else bounded("search"):  # the plain list is sorted by an index
        items = _page(by, query, position, limit + 1)
    has_more, items = len(items) > limit, items[:limit]
    last = Cursor(getattr(items[-1], column), items[-1].pk).sign(column) if has_more else ""
    return SearchPage(items, last, listed_verdicts(items) if with_verdicts else {})


def _page(by: Caller, query: Query, position: Cursor | None, most: int) -> list[Repository]:
    """Return the rows after a position, in the order of the query; the text at the top of this file says how."""
    if query.sort == search_terms.NAME:
        terms = _terms(query)
        rows = matching_repositories(by, query, terms=replace(terms, parts=())).select_related("namespace")
        return search_terms.page(rows, terms, position, most, are_few=bool(query.author))
    column, sign = SORTS[query.sort], "" if query.ascending else "-"
    order: tuple[Any, ...] = (f"{sign}{column}", f"{sign}id")
    number = _count_of_several(by, query)
    is_walked = number is not None and number > FEW and query.sort == Query.sort and _sees_by_owner(by)
    by_columns = is_walked or (number is not None and bool(query.base) and not query.engine)
    rows = matching_repositories(by, query, by_columns=by_columns).order_by(*order)
    if is_walked:
        rows = rows.filter(pk__in=_after(rows.values_list("pk", flat=True), query, position, most))
        return list(rows.select_related("namespace"))
    if number is not None and number <= FEW:  # no index has the order of an expression, so none is walked
        value = Greatest(column, column)
        rows = rows.order_by(value.asc() if query.ascending else value.desc(), order[1])
    return _after(rows.select_related("namespace"), query, position, most)


def _after(rows: QuerySet[Any, Item], query: Query, position: Cursor | None, most: int) -> list[Item]:
    if position is None:
        return list(rows[:most])
    return following(rows, SORTS[query.sort], position, most, is_ascending=query.ascending)


def _sees_by_owner(by: Caller) -> bool:
    """Return whether no name and no creator decides what the caller sees: repository_listed has neither."""
    return not (by.is_fine_grained or any(by.roles_by_teams()) or Membership.Role.CONTRIBUTOR in by.roles.values())


def _count_of_several(by: Caller, query: Query) -> int | None:
    """Return how many public repositories match several facets; None for other queries, and on SQLite."""
    if connection.vendor != "postgresql" or not is_kept(query) or not _has_several(facet_conditions(query)):
        return None
    return counts.total(kept_conditions(query))


def matching_repositories(
    by: Caller, query: Query, *, by_columns: bool = False, terms: SearchTerms | None = None
) -> QuerySet[Repository]:
    """Return the repositories that match and that the caller may see, unordered. Raises ValueInvalid for long lists.

    On PostgreSQL several facets are found by the index of all of them, or `by_columns`, with other indexes.
    """
    _require_short(query)
    rows = Repository.objects.filter(listed_to(by, elsewhere="upstream" in query.source), type=query.type)
    terms = _terms(query) if terms is None else terms
    rows = rows.filter(terms.condition)
    # If an index finds few rows, the database need not guess the shorter plan. An owner's repositories are few anyway.
    if not query.author and (few := terms.few) is not None:
        rows = rows.filter(pk__in=few)
    rows = rows.filter(*_facet_lookups(with_known_bases(query), by_columns=by_columns).values())
    if query.target:
        rows = rows.filter(HasLine("targets", query.target))
    if query.base_revision:
        rows = rows.filter(_on_revision(query.base_revision))
    if query.only_measured:
        rows = rows.filter(score__gt=Repository.NOT_MEASURED)
    if query.author:
        rows = rows.filter(_owned_by(query.author))
    if "hide" in query.archived:
        rows = rows.filter(archived_at__isnull=True)
    if query.only_verified:
        rows = rows.filter(READ_AS_VERIFIED)
    if query.gated is not None:
        rows = rows.exclude(gated="") if query.gated else rows.filter(gated="")
    bounds = {
        "rank__gte": query.rank_min,
        "rank__lte": query.rank_max,
        "size__gte": query.size_min,
        "size__lte": query.size_max,
        "parameters__lte": query.parameters_max,
    }
    if query.parameters_min is not None:  # 0 means not known, which is not excluded
        rows = rows.filter(Q(parameters__gte=query.parameters_min) | Q(parameters=0))
    return rows.filter(**{lookup: bound for lookup, bound in bounds.items() if bound is not None})


def _on_revision(asked: Sequence[str]) -> Q:
    """Return the condition that an adapter names a base in one of these revisions, or a base that is here in one.

    A revision may be the first digits, as pages show them, of one that is here.
    """
    revisions = Q()
    for revision in asked:
        is_short = len(revision) >= SHORTEST_OID and HEX.issuperset(revision)
        revisions |= Q(revision__startswith=revision) if is_short else Q(revision=revision)
    here = dict(Base.objects.filter(revisions).exclude(revision="").values_list("id", "revision"))
    names_none = Q(base_revision__in=["", "main"], base__in=list(here))
    return Q(base_revision__in=[*asked, *here.values()]) | names_none


def _terms(query: Query) -> SearchTerms:
    return SearchTerms(tuple(query.q.lower().split()[:8]), _lowered(query.id_words), _lines(query))


def _require_short(query: Query) -> None:
    for name, values in vars(query).items():
        if isinstance(values, list | tuple) and len(values) > MAX_WISHES:
            raise ValueInvalid(f"More than {MAX_WISHES} values of {name} were given.", fix="Use fewer values.")


def with_known_bases(query: Query) -> Query:
    """Return the query with each base under the name that repositories have for it; at most three queries.

    Raises ValueInvalid for long lists.
    """
    _require_short(query)
    if query.has_known_bases or not query.base:
        return query
    known = bases.canonical_names(query.base)
    return replace(query, base=tuple(known[name] for name in query.base), has_known_bases=True)


def facet_conditions(query: Query) -> dict[str, Q]:
    """Return the condition on each chosen facet, by columns that repositories and their counts both have."""
    chosen = {name: getattr(query, name) for name in FACETS if getattr(query, name)}
    conditions = {name: Q(**{f"{FACETS[name]}__in": values}) for name, values in chosen.items()}
    if query.verdict:
        conditions["verdict"] = Q(outcome__in=_outcomes(query))
    if query.engine:
        conditions["engine"] = Q(HasLine("serves", query.engine))
    return conditions


def _has_several(conditions: dict[str, Q]) -> bool:
    return len(set(conditions) - {"verdict"}) >= 2


def _facet_lookups(query: Query, *, by_columns: bool) -> dict[str, Q]:
    """Return the same for repositories: several facets by PostgreSQL's index of all of them, one by its own index."""
    conditions = facet_conditions(query)
    if query.engine:
        conditions["engine"] = serves(query.engine)
    if by_columns or not _has_several(conditions):
        return conditions
    for name, column in FACETS.items():
        if name in conditions:
            conditions[name] = has_value(column, getattr(query, name))
    if query.verdict:
        conditions["verdict"] = has_value("outcome", _outcomes(query))
    return conditions


def _outcomes(query: Query) -> list[str]:
    """Return the outcomes that a query asks for; lists do not tell what waits from what is being proven."""
    asked = set(query.verdict)
    return sorted(asked | _UNFINISHED if asked & _UNFINISHED else asked)


def is_kept(query: Query) -> bool:
    """Return whether the query asks for nothing but what the kept counts know."""
    others = (getattr(query, field.name) for field in fields(query) if field.name not in _KEPT)
    return not any(value or (value == 0 and value is not False) for value in others)


def kept_conditions(query: Query) -> dict[str, Q]:
    """Return the conditions on kept counts, those of facets by their names, without that on how bases are counted.

    The query names bases as with_known_bases does, and is_kept holds for it.
    """
    conditions = {"type": Q(type=query.type), **facet_conditions(query)}
    if "hide" in query.archived:
        conditions["archived"] = Q(is_archived=False)
    if query.only_verified:
        conditions["only_verified"] = READ_AS_VERIFIED
    if query.gated is not None:
        conditions["gated"] = Q(is_gated=query.gated)
    return conditions


def _owned_by(names: Sequence[str]) -> Q:
    """Return the condition on owners, by their numbers: so a database knows how many repositories they have."""
    owners = Namespace.objects.filter(name__lower__in=[name.lower() for name in names])
    return Q(namespace__in=list(owners.values_list("pk", flat=True)))


def _lowered(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word.lower() for word in words)


def _lines(query: Query) -> tuple[tuple[str, ...], ...]:
    """Return the requested tags as groups of alternatives: one of each group must be there."""
    groups = [query.tag, query.language, *([tag] for tag in query.all_tags)]
    return tuple(_lowered(tags) for tags in groups if tags)


def listed_verdicts(repositories: Iterable[Repository]) -> dict[int, ListedVerdict]:
    """Return what lists say of each repository that has a verdict, in one query."""
    rows = (
        Verdict.objects.filter(
            revision__refs__name__in=(MAIN, VERIFIED), revision__repository__in=[row.pk for row in repositories]
        )
        .annotate(ref=F("revision__refs__name"))
        .select_related("revision")
        .order_by(*LAST_SAID_LAST)
    )
    of: dict[int, dict[str, list[Verdict]]] = defaultdict(lambda: defaultdict(list))
    for verdict in rows:
        of[verdict.revision.repository_id][verdict.ref].append(verdict)
    return {pk: _listed(refs[VERIFIED] or refs[MAIN], refs[MAIN]) for pk, refs in of.items()}


def _listed(shown: Sequence[Verdict], of_main: Sequence[Verdict]) -> ListedVerdict:
    is_other = bool(of_main) and of_main[-1].revision_id != shown[-1].revision_id
    return ListedVerdict(shown[-1], of_main[-1] if is_other else None)


def count_tags(type: str) -> Counter[str]:
    """Count the tags of the newest public repositories."""
    rows = (
        Repository.objects.filter(listed_to(NOBODY), type=type)
        .order_by("-updated_at", "-id")
        .values_list("tags", flat=True)
    )
    return Counter(tag for tags in rows[:TAGGED].iterator() for tag in tags if isinstance(tag, str))
