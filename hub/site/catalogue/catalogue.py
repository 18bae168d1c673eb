"""The catalogue: search, facets, chips and histograms, all of it in the URL."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub import list_parameters
from hub.list_parameters import ROUTES
from hub.site.lists import at_cursor, rows_of
from hub.site.measures import number, size
from hub.site.templatetags.dovetail import kind_name, last_part
from hub.site.visitor import caller
from hub.site.words import english, in_words, task_name
from registry.kernel.errors import SearchTooSlow
from registry.kernel.policy import Caller
from registry.repos.lists import catalog, search, spreads, tallies
from registry.repos.lists.catalog import Query
from registry.repos.lists.spreads import Range, Spread
from registry.repos.lists.tallies import Tally


@dataclass(frozen=True, slots=True)
class Bin:
    """One range: its words, its number of repositories, and the address that asks for it alone, or no longer."""

    label: str
    count: int
    url: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Histogram:
    """The ranges of one column in order; `is_newest` if they are those of the newest matches of many."""

    column: str
    bins: Sequence[Bin]
    is_newest: bool = False

    @property
    def total(self) -> int:
        return sum(bin.count for bin in self.bins)

    @property
    def most(self) -> int:
        return max(bin.count for bin in self.bins)


COLUMNS = {"model": ("rank", "size"), "dataset": ("size",), "space": ("size",)}
Address = Callable[[dict[str, list[str]]], str]


def histograms(by: Caller, query: Query, params: QueryDict, address: Address) -> list[Histogram]:
    """Return the histograms of a list; none of a column without numbers, or if the database gave up."""
    try:
        drawn = [_histogram(one, params, address) for one in spreads.spread(by, query, COLUMNS[query.type])]
    except SearchTooSlow:  # the list itself may be there all the same
        return []
    return [histogram for histogram in drawn if histogram.total]


def _histogram(spread: Spread, params: QueryDict, address: Address) -> Histogram:
    low, high = f"{spread.column}_min", f"{spread.column}_max"
    asked = params.get(low, ""), params.get(high, "")
    bins = []
    for range in spread.ranges:
        ends = str(range.low or ""), str(range.high or "")
        url = address({low: [], high: []} if ends == asked else {low: [ends[0]], high: [ends[1]]})
        bins.append(Bin(_label(spread.column, range), range.count, url, ends == asked))
    return Histogram(spread.column, bins, spread.is_newest)


def _label(column: str, range: Range) -> str:
    """Return a range in words: `≤ 4`, `5–8`, `≥ 65`; sizes in megabytes, of which their ends are whole ones."""
    unit, name = (1_000_000, " MB") if column == "size" else (1, "")
    low, high = range.low // unit, (range.high or 0) // unit
    if range.high is None:
        return f"≥ {low}{name}"
    return f"{low}–{high}{name}" if range.low else f"≤ {high}{name}"


FACETS = {
    "verdict": _("Verdict"),
    "base": _("Base model"),
    "kind": _("Kind"),
    "task": _("Task"),
    "license": _("License"),
    "engine": _("Served by"),
}
CHIPS = {
    **FACETS,
    "author": _("Author"),
    "tag": _("Tag"),
    "language": _("Language"),
    "target": _("Module"),
    "base_revision": _("Base revision"),
    "rank_min": _("Rank from"),
    "rank_max": _("Rank to"),
    "size_min": _("Size from"),
    "size_max": _("Size to"),
    "archived": _("Archived"),
    "source": _("Source"),
}
BESIDES = ("cursor", "view")  # parameters that say how the list is shown
VIEWS = {"rows": _("rows"), "table": _("dense table")}
SORTS = {
    "relevance": _("relevance"),
    "updated": _("newest version"),
    "trending": _("trending"),
    "created": _("newest adapter"),
    "downloads": _("most downloads"),
    "likes": _("most likes"),
    "score": _("gain over the base"),
}
NOUNS = {"model": "adapter", "dataset": "dataset", "space": "space"}
TITLES = {"model": _("Adapters"), "dataset": _("Datasets"), "space": _("Spaces")}
NAMES = {"base": last_part, "kind": kind_name, "task": task_name, "verdict": in_words}
WISHES = {"hide": _("hide"), "upstream": _("other hubs")}  # of `archived` and `source`, which take one value each


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a facet: where a click leads, and whether it is chosen now."""

    label: str
    count: int | None
    url: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force, and the address without it."""

    name: str
    label: str
    url: str


@require_safe
def catalogue(request: HttpRequest, type: str = "model") -> HttpResponse:
    by, asked = caller(request), list_parameters.forgiving(request.GET, type, BESIDES)
    query, params, path = catalog.with_known_bases(asked.query), asked.params, reverse(ROUTES[type])
    view, unknown = _view(request)
    filters = params.urlencode()
    params["view"] = view
    page, problems = at_cursor(request, lambda cursor: catalog.search(by, query, cursor=cursor))
    tally, in_force = tallies.tally(by, query), chips(params, path)
    every = tallies.count_matches(by, Query(type=type))
    shown = {
        "section": ROUTES[type],
        "path": path,
        "noun": NOUNS[type],
        "title": TITLES[type],
        "kinds": [(reverse(ROUTES[other]), title) for other, title in TITLES.items()],
        "problems": (*map(english, asked.problems), *unknown, *problems),
        "query": query.q,
        "rows": rows_of(page),
        "suggestion": search.suggest(by, query) if query.q and not page.items else "",
        "tally": tally,
        "all": every,
        "counted": _counted(tally, every),
        "facets": _facets(tally.commonest, params, path),
        "histograms": histograms(by, query, params, lambda changed: _address(params, path, **changed)),
        "chips": in_force,
        "sort": SORTS[query.sort],
        "sorts": [(label, _address(params, path, sort=[name])) for name, label in SORTS.items()],
        "view": view,
        "view_label": VIEWS[view],
        "views": [(label, _address(params, path, view=[name])) for name, label in VIEWS.items()],
        "next": _address(params, path, cursor=[page.next]) if page.next else "",
        "first": _address(params, path) if "cursor" in request.GET else "",
        "type": type,
        "filters": filters,
        "feed": _address(params, reverse(f"{ROUTES[type]}-feed"), view=[]),
    }
    return render(request, "site/catalogue.html", shown)


def _counted(tally: Tally, every: int) -> str:
    """Return how many rows match, and of how many if others do not: `1,204`, `12 of 1,204`."""
    rows = number(tally.rows) + ("+" if tally.is_capped else "")
    return rows if tally.rows == every else gettext("{rows} of {all}").format(rows=rows, all=number(every))


def _view(request: HttpRequest) -> tuple[str, tuple[str, ...]]:
    """Return how the rows are shown, and a sentence about a wrong `view`."""
    view = request.GET.get("view") or "rows"
    return (
        (view, ())
        if view in VIEWS
        else ("rows", (english(f"There is no view {view[:40]!r}: use {' or '.join(VIEWS)}."),))
    )


def chips(params: QueryDict, path: str) -> list[Chip]:
    """Every filter in force, each with the address that lacks only it."""
    words = str(params.get("q", "")).strip()
    found = [Chip(gettext("Search"), words, _address(params, path, q=[]))] if words else []
    for name, label in CHIPS.items():
        for value in params.getlist(name):
            found.append(Chip(str(label), _said(name, value), _toggled(params, path, name, value)))
    return found


def _facets(counts: dict[str, list[tuple[str, int]]], params: QueryDict, path: str) -> list[tuple[str, list[Choice]]]:
    shown = []
    for name, label in FACETS.items():
        chosen = params.getlist(name)
        missing = [(value, 0) for value in chosen if value not in dict(counts[name])]
        choices = [
            Choice(_said(name, value), count, _toggled(params, path, name, value), value in chosen)
            for value, count in counts[name] + missing
        ]
        if choices:
            shown.append((str(label), choices))
    if shown:
        hides = "hide" in params.getlist("archived")
        url = _toggled(params, path, "archived", "hide")
        shown.append((str(CHIPS["archived"]), [Choice(_said("archived", "hide"), None, url, hides)]))
    if settings.UPSTREAM.hubs:
        url, is_chosen = _toggled(params, path, "source", "upstream"), "upstream" in params.getlist("source")
        shown.append((str(CHIPS["source"]), [Choice(_said("source", "upstream"), None, url, is_chosen)]))
    return shown


def _said(name: str, value: str) -> str:
    if name in ("size_min", "size_max"):
        return size(int(value.partition(".")[0]))  # 5.0 is taken for a whole number too
    return NAMES[name](value) if name in NAMES else str(WISHES.get(value, value))


def _toggled(params: QueryDict, path: str, name: str, value: str) -> str:
    values = params.getlist(name)
    return _address(params, path, **{name: [v for v in values if v != value] if value in values else [*values, value]})


def _address(params: QueryDict, path: str, **changed: list[str]) -> str:
    """The same list with some parameters changed; a page further on makes sense only in the list it came from."""
    kept = {name: values for name, values in params.lists() if name in {*CHIPS, "q", "sort", "view"}} | changed
    pairs = [(name, value) for name, values in kept.items() for value in values if value]
    wanted = urlencode([pair for pair in pairs if pair != ("view", "rows")])
    return f"{path}?{wanted}" if wanted else path
