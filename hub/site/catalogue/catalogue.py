"""The catalogue: search, filters, chips, and three views of one list, all of it in the URL."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub import list_parameters
from hub.list_parameters import ROUTES
from hub.site.lists import ListRow, at_cursor, rows_of
from hub.site.measures import number, size
from hub.site.pictures import Measured, Scatter, scatter, with_interval
from hub.site.proof import ENGINE_TITLES
from hub.site.templatetags.dovetail import kind_name, last_part, license
from hub.site.visitor import caller
from hub.site.words import english, in_words, task_name
from registry.kernel.policy import Caller
from registry.models import Repository
from registry.repos.lists import catalog, search, search_terms, tallies
from registry.repos.lists.catalog import Query, SearchPage
from registry.repos.lists.tallies import Tally

FACETS = {
    "verdict": _("Verdict"),
    "base": _("Base model"),
    "kind": _("Kind"),
    "task": _("Task"),
    "license": _("License"),
    "engine": _("Served by"),
}
TYPED = {"author": _("Author"), "tag": _("Tag"), "language": _("Language"), "target": _("Module")}
CHIPS = {
    **FACETS,
    **TYPED,
    "base_revision": _("Base revision"),
    "rank_min": _("Rank from"),
    "rank_max": _("Rank to"),
    "size_min": _("Size from"),
    "size_max": _("Size to"),
    "archived": _("Archived"),
    "source": _("Source"),
}
IN_BAR = ("task", "base", "engine", "license", "verdict")  # facets with a menu each; the others share one
SIZE_RANGE = ("size_min", "size_max")
RANGES = ("rank_min", "rank_max", *SIZE_RANGE)
SIZES = (1_000_000, 5_000_000, 20_000_000, 100_000_000, 500_000_000)  # that are offered as ends of a range
BESIDES = ("cursor", "view")  # parameters that say how the list is shown
VIEWS = {"rows": _("Rows"), "table": _("Table"), "scatter": _("Scatter")}
SORTS = {
    search_terms.NAME: _("relevance"),
    "score": _("verified score"),
    "trending": _("trending"),
    "downloads": _("most downloads"),
    "likes": _("most likes"),
    "updated": _("newest version"),
    "created": _("newest adapter"),
}
NOUNS = {"model": "adapter", "dataset": "dataset", "space": "space"}
TITLES = {"model": _("Adapters"), "dataset": _("Datasets"), "space": _("Spaces")}
NAMES: Mapping[str, Callable[[str], str]] = {
    "base": last_part,
    "engine": lambda name: ENGINE_TITLES.get(name, name),
    "license": license,
    "kind": kind_name,
    "task": task_name,
    "verdict": in_words,
}
WISHES = {"hide": _("hide"), "upstream": _("other hubs")}  # of `archived` and `source`, which take one value each


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a facet: where a click leads, and whether it is chosen now."""

    label: str
    count: int | None
    url: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of a facet that matches have, and how many of them are chosen."""

    name: str
    label: str
    choices: Sequence[Choice]

    @property
    def chosen(self) -> int:
        return sum(choice.chosen for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force, and the address without it."""

    name: str
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Cloud:
    """Adapters that one metric measured on the same rows, drawn by size and score."""

    rows: Sequence[ListRow]
    picture: Scatter

    @property
    def oldest(self) -> Repository:
        """The adapter that names the rows."""
        return min((row.repository for row in self.rows), key=lambda repository: repository.pk)


@require_safe
def search_page(request: HttpRequest) -> HttpResponse:
    """Lead to the catalogue, which shows what else is called like that too."""
    words = request.GET.get("q", "").strip()
    return redirect(f"{reverse('adapters')}?{urlencode({'q': words})}" if words else "adapters")


@require_safe
def catalogue(request: HttpRequest, type: str = "model") -> HttpResponse:
    by, asked = caller(request), list_parameters.forgiving(request.GET, type, BESIDES)
    query, params, path = catalog.with_known_bases(asked.query), asked.params, reverse(ROUTES[type])
    view, unknown = _view(request, type)
    filters = params.urlencode()
    params["view"] = view
    tally, every = tallies.tally(by, query), tallies.count_matches(by, Query(type=type))
    tasks = _tasks(query, tally) if query.sort == "score" or view == "scatter" else []
    if len(tasks) > 1:  # no score of one task compares with that of another
        view = "rows" if view == "scatter" else view
        query = replace(query, sort=search_terms.NAME if query.q else Query.sort)
    page, problems = at_cursor(request, lambda cursor: _found(by, query, view, cursor))
    rows = rows_of(page, with_trends=view == "rows")
    others = search.find_others(by, query.q, MOST_OTHERS) if query.q and "cursor" not in request.GET else None
    found_nothing = not (rows or others)
    shown: dict[str, object] = {
        "section": ROUTES[type],
        "path": path,
        "noun": NOUNS[type],
        "title": TITLES[type],
        "kinds": [(reverse(ROUTES[other]), title) for other, title in TITLES.items()],
        "problems": (*map(english, asked.problems), *unknown, *problems),
        "query": query.q,
        "rows": rows,
        "others": others,
        "owners": [(owner, search.full_name(owner)) for owner in others.owners] if others else [],
        "suggestion": search.suggest(by, query) if query.q and found_nothing else "",
        "tally": tally,
        "all": every,
        "counted": _counted(tally, every),
        "chips": chips(params, path),
        "sort": query.sort,
        "order": SORTS[query.sort],
        "sorts": {
            name: (label, _address(params, path, sort=[name]))
            for name, label in SORTS.items()
            if query.q or name != search_terms.NAME
        },
        "view": view,
        "views": [
            (name, label, _address(params, path, view=[name])) for name, label in VIEWS.items() if _has_view(name, type)
        ],
        "next": _address(params, path, cursor=[page.next]) if page.next else "",
        "first": _address(params, path) if "cursor" in request.GET else "",
        "type": type,
        "filters": filters,
        "feed": _address(params, reverse(f"{ROUTES[type]}-feed"), view=[]),
    }
    shown |= _filters(tally, params, path, type)
    if len(tasks) > 1:
        shown["tasks"] = [Choice(task_name(task), None, _address(params, path, task=[task]), False) for task in tasks]
    if view == "scatter":
        shown["clouds"] = (clouds := _clouds(rows))
        shown["alone"] = len(rows) - sum(len(cloud.rows) for cloud in clouds)
        shown["drawn"] = len(rows) if page.next else 0
    elif query.sort == "score":
        shown["measured_on"] = list(
            {row.rows_key or row.repository.pk: row.measured for row in rows if row.measured}.values()
        )
    return render(request, "site/catalogue.html", shown)


MOST_OTHERS = 5  # bases, people and files that are named above a list


def _found(by: Caller, query: Query, view: str, cursor: str) -> SearchPage:
    """Return a page of the list; for the scatter, which has one page, the adapters with the greatest gains."""
    if view == "scatter":
        return catalog.search(by, replace(query, only_measured=True, sort="score"), limit=catalog.MAX_PAGE)
    return catalog.search(by, query, cursor=cursor)


def _tasks(query: Query, tally: Tally) -> list[str]:
    """Return the tasks that the scores of a list may be of, the commonest first."""
    return list(query.task) or [task for task, _count in tally.commonest["task"]]


def _clouds(rows: Iterable[ListRow]) -> list[Cloud]:
    """Return a drawing for each set of rows and metric that several adapters share, the largest first."""
    shared: dict[str, list[ListRow]] = defaultdict(list)
    for row in rows:
        if row.measured and row.measured.rows_sha256:
            shared[row.rows_key].append(row)
    clouds = [(measured, _picture(measured)) for measured in shared.values()]
    drawn = [Cloud(measured, picture) for measured, picture in clouds if picture]
    return sorted(drawn, key=lambda cloud: -len(cloud.rows))


def _picture(rows: Sequence[ListRow]) -> Scatter | None:
    points = [
        Measured(
            row.repository.full_name,
            row.repository.get_absolute_url(),
            row.repository.size,
            with_interval(row.measured.adapter, row.measured.interval),
            row.repository.kind,
        )
        for row in sorted(rows, key=lambda row: row.repository.pk)  # of equal ones the oldest has its name shown
        if row.measured
    ]
    return scatter(points, lower_is_better=any(row.measured.better == "lower" for row in rows if row.measured))


def _has_view(name: str, type: str) -> bool:
    """Return whether repositories of a type have a view: nothing but adapters is measured."""
    return type == "model" or name != "scatter"


def _counted(tally: Tally, every: int) -> str:
    """Return how many rows match, and of how many if others do not: `1,204`, `12 of 1,204`."""
    rows = number(tally.rows) + ("+" if tally.is_capped else "")
    return rows if tally.rows == every else gettext("{rows} of {all}").format(rows=rows, all=number(every))


def _view(request: HttpRequest, type: str) -> tuple[str, tuple[str, ...]]:
    """Return how the rows are shown, and a sentence about a wrong `view`."""
    view, known = request.GET.get("view") or "rows", [name for name in VIEWS if _has_view(name, type)]
    if view in known:
        return view, ()
    return "rows", (english(f"Unknown view {view[:40]!r}: use {' or '.join(known)}."),)


def chips(params: QueryDict, path: str) -> list[Chip]:
    """Every filter in force, each with the address that lacks only it."""
    words = str(params.get("q", "")).strip()
    found = [Chip(gettext("Search"), words, _address(params, path, q=[]))] if words else []
    for name, label in CHIPS.items():
        for value in params.getlist(name):
            found.append(Chip(str(label), _said(name, value), _toggled(params, path, name, value)))
    return found


def _filters(tally: Tally, params: QueryDict, path: str, type: str) -> dict[str, object]:
    """Return the menus of the filter bar: facets with a menu each, ranges, and what is left for the last one."""
    facets = [_facet(name, tally.commonest[name], params, path) for name in (*IN_BAR, *(FACETS.keys() - IN_BAR))]
    switches = [("archived", "hide")] + ([("source", "upstream")] if settings.UPSTREAM.hubs else [])
    shown = [facet for facet in facets if facet.choices]
    typed = [(name, label) for name, label in TYPED.items() if type == "model" or name != "target"]
    ranges = [name for name in RANGES if type == "model" or name in SIZE_RANGE]
    return {
        "facets": [facet for facet in shown if facet.name in IN_BAR],
        "more": [
            *(facet for facet in shown if facet.name not in IN_BAR),
            *(_switch(name, value, params, path) for name, value in switches),
        ],
        "typed": typed,
        "in_more": sum(len(params.getlist(name)) for name in ("kind", *TYPED, "base_revision", "archived", "source")),
        "kept": _kept(params),
        "kept_beside_ranges": _kept(params, **{name: [] for name in RANGES}),
        "in_ranges": sum(name in params for name in RANGES),
        "ranges": [(name, CHIPS[name], params.get(name, ""), _sizes(name, params)) for name in ranges],
    }


def _facet(name: str, counts: Sequence[tuple[str, int]], params: QueryDict, path: str) -> Facet:
    chosen = params.getlist(name)
    missing = [(value, 0) for value in chosen if value not in dict(counts)]
    choices = [
        Choice(_said(name, value), count, _toggled(params, path, name, value), value in chosen)
        for value, count in [*counts, *missing]
    ]
    return Facet(name, str(FACETS[name]), choices)


def _switch(name: str, value: str, params: QueryDict, path: str) -> Facet:
    """Return a filter that takes one value and has no count."""
    choice = Choice(_said(name, value), None, _toggled(params, path, name, value), value in params.getlist(name))
    return Facet(name, str(CHIPS[name]), [choice])


def _sizes(name: str, params: QueryDict) -> list[tuple[int, bool]]:
    """Return the sizes that one end of a range may be, and which of them is chosen."""
    if name not in SIZE_RANGE:
        return []
    chosen = {_whole(value) for value in params.getlist(name)}
    return [(bytes, bytes in chosen) for bytes in sorted({*SIZES, *chosen})]


def _whole(value: str) -> int:
    return int(value.partition(".")[0])  # 5.0 is taken for a whole number too


def _said(name: str, value: str) -> str:
    if name in SIZE_RANGE:
        return size(_whole(value))
    return NAMES[name](value) if name in NAMES else str(WISHES.get(value, value))


def _toggled(params: QueryDict, path: str, name: str, value: str) -> str:
    values = params.getlist(name)
    return _address(params, path, **{name: [v for v in values if v != value] if value in values else [*values, value]})


def _address(params: QueryDict, path: str, **changed: list[str]) -> str:
    """Return the address of the same list with some parameters changed, from its first page."""
    wanted = urlencode(_kept(params, **changed))
    return f"{path}?{wanted}" if wanted else path


def _kept(params: QueryDict, **changed: list[str]) -> list[tuple[str, str]]:
    """Return the parameters of the same list, some of them changed; its forms have them in hidden fields."""
    kept = {name: values for name, values in params.lists() if name in {*CHIPS, "q", "sort", "view"}} | changed
    pairs = [(name, value) for name, values in kept.items() for value in values if value]
    return [pair for pair in pairs if pair != ("view", "rows")]
