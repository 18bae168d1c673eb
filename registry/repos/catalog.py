"""Lists of repositories: search, filters, facets, pages, and the verdict beside each line. Only reads."""

import hashlib
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.cache import caches
from django.db.models import Count, Q, QuerySet

from dovetail.adapters.serving import ENGINES
from registry.kernel import site_settings
from registry.kernel.cursors import Cursor, Page, following
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import NOBODY, Caller, in_reach, listed_to
from registry.models import Base, Repository, Verdict
from registry.repos import bases, search_terms
from registry.repos.refs import MAIN

MAX_PAGE = 100
MAX_WISHES = 50  # values of one filter; each tag is a condition of its own, and databases limit their number
SORTS = {
    "updated": "updated_at",
    "created": "created_at",
    "downloads": "downloads",
    "likes": "likes",
    "trending": "trending",
    "score": "score",
}
FACETS = {"base": "base", "kind": "kind", "task": "task", "license": "license"}
PENDING = frozenset({"queued", "running"})
COMMONEST = 12  # values of a facet that are offered
TAGGED = 20_000  # repositories whose tags are counted
MANY = 250  # repositories: counts over more of them are cached for COUNTED_SECONDS
COUNTED_SECONDS = 50  # what is held back is in no answer after a minute
_ENGINES = frozenset(engine.name for engine in ENGINES)


@dataclass(frozen=True)
class Query:
    """A search. Values of one field are alternatives; different fields must all hold."""

    q: str = ""
    verdict: Sequence[str] = ()
    base: Sequence[str] = ()
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
    size_max: int | None = None  # bytes
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
class SearchPage(Page[Repository]):
    """One page of a search, with the verdict beside each line."""

    verdicts: dict[int, Verdict] = field(default_factory=dict)  # repository id → newest verdict of main


def search(by: Caller, query: Query, *, cursor: str = "", limit: int = 30, with_verdicts: bool = True) -> SearchPage:
    """Return one page of repositories the caller may see, newest first by the chosen sort unless `ascending`.

    A constant number of queries. Raises ValueInvalid for an unknown sort or a cursor that is not ours.
    """
    if query.sort not in SORTS:
        raise ValueInvalid(f"There is no sort {query.sort!r}.", fix=f"Use one of {', '.join(SORTS)}.")
    column, limit = SORTS[query.sort], max(1, min(limit, MAX_PAGE))
    sign = "" if query.ascending else "-"
    rows = matching_repositories(by, query).select_related("namespace")
    rows = rows.order_by(f"{sign}{column}", f"{sign}id")
    if cursor:
        position = Cursor.verify(cursor, column)  # one of another sort holds another kind of value
        items = following(rows, column, position, limit + 1, is_ascending=query.ascending)
    else:
        items = list(rows[: limit + 1])
    has_more, items = len(items) > limit, items[:limit]
    last = Cursor(getattr(items[-1], column), items[-1].pk).sign(column) if has_more else ""
    return SearchPage(items, last, newest_verdicts(items) if with_verdicts else {})


def matching_repositories(by: Caller, query: Query) -> QuerySet[Repository]:
    """Return the repositories that match and that the caller may see, unordered. Raises ValueInvalid for long lists."""
    for name, values in vars(query).items():
        if isinstance(values, list | tuple) and len(values) > MAX_WISHES:
            raise ValueInvalid(f"More than {MAX_WISHES} values of {name} were asked for.", fix="Ask for fewer at once.")
    rows = Repository.objects.filter(listable_for(by, elsewhere="upstream" in query.source), type=query.type)
    terms = search_terms.SearchTerms(tuple(query.q.lower().split()[:8]), _lowered(query.id_words), _lines(query))
    rows = rows.filter(terms.condition)
    # If an index finds few rows, the database need not guess the shorter plan. An owner's repositories are few anyway.
    if not query.author and (few := terms.few()) is not None:
        rows = rows.filter(pk__in=few)
    query = replace(query, base=[bases.canonical_name(name) for name in query.base])
    for name, column in FACETS.items():
        if values := getattr(query, name):
            rows = rows.filter(**{f"{column}__in": values})
    if query.verdict:
        rows = rows.filter(_any_verdict(query.verdict))
    if query.engine:
        rows = rows.filter(_any_line("serves", query.engine))
    if query.target:
        rows = rows.filter(_any_line("targets", query.target))
    if query.base_revision:
        rows = rows.filter(base_revision__in=query.base_revision)
    if query.only_measured:
        rows = rows.filter(score__gt=Repository.NOT_MEASURED)
    if query.author:
        rows = rows.filter(namespace__name__lower__in=[author.lower() for author in query.author])
    if "hide" in query.archived:
        rows = rows.filter(archived_at__isnull=True)
    if query.only_verified:
        rows = rows.filter(Q(is_verified=True) | Q(state="") | ~Q(type=Repository.Type.MODEL))
    if query.gated is not None:
        rows = rows.exclude(gated="") if query.gated else rows.filter(gated="")
    bounds = {
        "rank__gte": query.rank_min,
        "rank__lte": query.rank_max,
        "size__lte": query.size_max,
        "parameters__lte": query.parameters_max,
    }
    if query.parameters_min is not None:  # 0 means not known, which is not excluded
        rows = rows.filter(Q(parameters__gte=query.parameters_min) | Q(parameters=0))
    return rows.filter(**{lookup: bound for lookup, bound in bounds.items() if bound is not None})


def _lowered(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word.lower() for word in words)


def _lines(query: Query) -> tuple[tuple[str, ...], ...]:
    """Return the requested tags as groups of alternatives: one of each group must be there."""
    groups = [query.tag, query.language, *([tag] for tag in query.all_tags)]
    return tuple(_lowered(tags) for tags in groups if tags)


@dataclass(frozen=True)
class Tally:
    """The number of repositories that a query matches, and for each facet the number by value."""

    rows: int
    facets: dict[str, Counter[str]]


def count_matches(by: Caller, query: Query) -> int:
    """Return the number of repositories that match; a large number may be a minute old."""
    return _tally(by, query).rows


def _tally(by: Caller, query: Query) -> Tally:
    """Count what the caller sees: public repositories once for all callers, and their own ones besides."""
    query = replace(query, sort=Query.sort, ascending=Query.ascending)
    if by.is_staff:  # sees more than the public and their own
        return _counted(f"staff {by.user and by.user.pk}", query, matching_repositories(by, query))
    public = _counted("public", query, matching_repositories(NOBODY, query))
    if not by.roles:
        return public
    rows = matching_repositories(by, query).filter(in_reach(by)).exclude(listable_for(NOBODY))
    own = _counted(f"own {by.user and by.user.pk} {by.token and by.token.pk}", query, rows)
    return Tally(public.rows + own.rows, {name: public.facets[name] + own.facets[name] for name in public.facets})


def _counted(scope: str, query: Query, rows: QuerySet[Repository]) -> Tally:
    """Count in one pass; each web process caches counts over many rows."""
    identity = repr((scope, site_settings.get_setting("pull_policy"), query)).encode("utf-8", "surrogatepass")
    key = f"tally:{hashlib.sha256(identity).hexdigest()}"
    cached: dict[str, Any] | None = caches["default"].get(key)  # as JSON has it: web processes share the cache
    if cached is not None:
        return Tally(cached["rows"], {name: Counter(counts) for name, counts in cached["facets"].items()})
    facets: dict[str, Counter[str]] = {name: Counter() for name in ("verdict", *FACETS, "engine")}
    total = 0
    columns = (*FACETS.values(), "state", "outcome", "is_verified", "serves")
    for *values, state, outcome, is_verified, serves, n in (
        rows.order_by().values_list(*columns).annotate(n=Count("pk"))
    ):
        total += n
        for verdict in _verdicts_of(state, outcome, is_verified=is_verified):
            facets["verdict"][verdict] += n
        for name, value in zip(FACETS, values, strict=True):
            facets[name][value] += n
        for engine in filter(None, serves.split("\n")):
            facets["engine"][engine] += n
    tally = Tally(total, facets)
    if total > MANY:
        caches["default"].set(key, {"rows": total, "facets": facets}, COUNTED_SECONDS)
    return tally


def count_by_base(by: Caller, names: Iterable[str]) -> dict[str, int]:
    """Return base id → number of models with that base that the caller may see; without those that no model names."""
    rows = Repository.objects.filter(listable_for(by), type=Repository.Type.MODEL, base__in=set(names)).order_by()
    return dict(rows.values_list("base").annotate(Count("pk")))


def facet_counts(by: Caller, query: Query) -> dict[str, list[tuple[str, int]]]:
    """Return for each facet its commonest values and their counts among what the query matches.

    A facet ignores its own choice, so that its alternatives stay visible. Counts over very many repositories may be a
    minute old.
    """
    commonest, whole = {}, _tally(by, query)
    for name in whole.facets:
        without: dict[str, Any] = {name: ()}
        values = (_tally(by, replace(query, **without)) if getattr(query, name) else whole).facets[name]
        counts = [(value, n) for value, n in values.items() if value and (name != "engine" or value in _ENGINES)]
        commonest[name] = sorted(counts, key=lambda row: (-row[1], row[0]))[:COMMONEST]
    return commonest


def _any_verdict(states: Iterable[str]) -> Q:
    """Return the condition for the filter by verdict: `passed` is what has a version that is served as verified.

    `passed` and `failed` hold on while a version is proven again; `queued` and `running` say that it is.
    """
    condition = Q()
    for state in states:
        condition |= Q(state=state) if state in PENDING else Q(outcome=state)
        if state == Verdict.State.PASSED:
            condition |= Q(is_verified=True)
    return condition


def _verdicts_of(state: str, outcome: str, *, is_verified: bool) -> set[str]:
    """Return the values of that filter that find a repository with these columns."""
    return {state, outcome, *([Verdict.State.PASSED.value] if is_verified else [])}


def _any_line(column: str, lines: Iterable[str]) -> Q:
    """Return the condition that a column of lines holds one of these."""
    condition = Q()
    for line in lines:
        condition |= Q(**{f"{column}__contains": f"\n{line}\n"})
    return condition


def listable_for(by: Caller, *, elsewhere: bool = False) -> Q:
    """Return the condition for lists: under the pull policy `verified`, strangers find only what they could pull."""
    listed = listed_to(by, elsewhere=elsewhere)
    if site_settings.get_setting("pull_policy") == "open" or by.is_staff:
        return listed
    return listed & (Q(is_verified=True) | ~Q(type=Repository.Type.MODEL) | in_reach(by))


def newest_verdicts(repositories: Iterable[Repository]) -> dict[int, Verdict]:
    """Return the newest verdict of main for each repository that has one, in one query."""
    rows = (
        Verdict.objects.filter(
            revision__refs__name=MAIN, revision__repository__in=[repository.pk for repository in repositories]
        )
        .select_related("revision")
        .order_by("number")
    )
    return {verdict.revision.repository_id: verdict for verdict in rows}


@dataclass(frozen=True)
class Totals:
    """The numbers on the front page, over public repositories."""

    adapters: int
    passed: int
    bases: int
    median_ms: int | None


def public_totals() -> Totals:
    """Count public repositories; the median is over the newest 200 verdicts."""
    counted = _tally(NOBODY, Query())
    recent = Verdict.objects.filter(duration_ms__isnull=False).order_by("-finished_at")  # as an index sorts them
    times = [ms for state, ms in recent.values_list("state", "duration_ms")[:200] if state == "passed" and ms]
    median = round(statistics.median(times)) if times else None
    return Totals(counted.rows, counted.facets["verdict"]["passed"], Base.objects.count(), median)


def count_tags(type: str) -> Counter[str]:
    """Count the tags of the newest public repositories."""
    rows = (
        Repository.objects.filter(listable_for(NOBODY), type=type)
        .order_by("-updated_at", "-id")
        .values_list("tags", flat=True)
    )
    return Counter(tag for tags in rows[:TAGGED].iterator() for tag in tags if isinstance(tag, str))


@dataclass(frozen=True)
class BaseLine:
    """A base in a list, the number of visible adapters that name it, and its row if the base is here."""

    id: str
    adapters: int
    base: Base | None


def list_bases(by: Caller, *, cursor: str = "", limit: int = MAX_PAGE) -> Page[BaseLine]:
    """Return one page of the bases that visible adapters name or the base cache holds, the commonest first.

    Raises ValueInvalid for a cursor that is not ours.
    """
    used = _tally(by, Query()).facets["base"]
    counts = dict.fromkeys(Base.objects.values_list("id", flat=True), 0) | {id: n for id, n in used.items() if id}
    ranked = sorted((-count, id) for id, count in counts.items())
    if cursor:
        position = Cursor.verify(cursor, "bases")
        ranked = [row for row in ranked if row > (position.value, position.row)]
    page = ranked[: max(1, min(limit, MAX_PAGE))]
    known_bases = Base.objects.in_bulk([id for _, id in page])
    lines = [BaseLine(id, -negated, known_bases.get(id)) for negated, id in page]
    return Page(lines, Cursor(*page[-1]).sign("bases") if len(ranked) > len(page) else "")
