"""The catalogue: search, facets and chips, all of it in the URL."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from hub.site.list_rows import rows_of
from hub.site.templatetags.dovetail import kind_name, last_part, spaced
from hub.site.visitor import caller
from registry.kernel.errors import ValueInvalid
from registry.repos import catalog, tallies
from registry.repos.catalog import Query

FACETS = {
    "verdict": "Verdict",
    "base": "Base model",
    "kind": "Kind",
    "task": "Task",
    "license": "License",
    "engine": "Served by",
}
CHIPS = {
    **FACETS,
    "author": "Author",
    "tag": "Tag",
    "language": "Language",
    "target": "Module",
    "archived": "Archived",
    "source": "Source",
}
BOUNDS = {"rank_min": "Rank from", "rank_max": "Rank to"}
SORTS = {
    "updated": "newest version",
    "trending": "trending",
    "created": "newest adapter",
    "downloads": "most downloads",
    "likes": "most likes",
    "score": "best score",
}
ROUTES = {"model": "adapters", "dataset": "datasets", "space": "spaces"}
NOUNS = {"model": "adapter", "dataset": "dataset", "space": "space"}
NAMES = {"base": last_part, "kind": kind_name, "task": spaced}


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
    by, query = caller(request), asked(request.GET, type)
    path = reverse(ROUTES[type])
    tally = tallies.tally(by, query)
    page = catalog.search(by, query, cursor=request.GET.get("cursor", ""))
    shown = {
        "section": ROUTES[type],
        "path": path,
        "noun": NOUNS[type],
        "kinds": [(reverse(ROUTES[other]), f"{noun.capitalize()}s") for other, noun in NOUNS.items()],
        "query": query.q,
        "rows": rows_of(page),
        "tally": tally,
        "all": tallies.count_matches(by, Query(type=type)),
        "facets": _facets(tally.commonest, request.GET, path),
        "chips": chips(request.GET, path),
        "sort": SORTS[query.sort],
        "sorts": [(label, _address(request.GET, path, sort=[name])) for name, label in SORTS.items()],
        "next": _address(request.GET, path, cursor=[page.next]) if page.next else "",
        "first": _address(request.GET, path) if "cursor" in request.GET else "",
        "feed": _address(request.GET, reverse(f"{ROUTES[type]}-feed")),
    }
    return render(request, "site/catalogue.html", shown)


def asked(params: QueryDict, type: str = "model") -> Query:
    """The query in an address. Words nobody filters by are left alone, so that old links go on working."""
    chosen: dict[str, Any] = {name: tuple(dict.fromkeys(params.getlist(name)))[:20] for name in CHIPS}
    chosen |= {name: _bound(name, typed) for name in BOUNDS if (typed := str(params.get(name, "")))}
    return Query(q=params.get("q", "")[:200].strip(), sort=params.get("sort") or "updated", type=type, **chosen)


def _bound(name: str, typed: str) -> int:
    if not (typed.isascii() and typed.isdecimal() and len(typed) < 10):
        raise ValueInvalid(f"{name} is a whole number, not {typed[:40]!r}.", fix="Write a number, or leave it out.")
    return int(typed)


def chips(params: QueryDict, path: str) -> list[Chip]:
    """Every filter in force, each with the address that lacks only it."""
    words = str(params.get("q", "")).strip()
    found = [Chip("Search", words, _address(params, path, q=[]))] if words else []
    for name, label in {**CHIPS, **BOUNDS}.items():
        for value in dict.fromkeys(params.getlist(name)):
            found.append(Chip(label, _said(name, value), _toggled(params, path, name, value)))
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
            shown.append((label, choices))
    if shown:
        hides = "hide" in params.getlist("archived")
        url = _toggled(params, path, "archived", "hide")
        shown.append((CHIPS["archived"], [Choice("hide", None, url, hides)]))
    if settings.UPSTREAM.hubs:
        url, is_chosen = _toggled(params, path, "source", "upstream"), "upstream" in params.getlist("source")
        shown.append((CHIPS["source"], [Choice("other hubs", None, url, is_chosen)]))
    return shown


def _said(name: str, value: str) -> str:
    return NAMES[name](value) if name in NAMES else value


def _toggled(params: QueryDict, path: str, name: str, value: str) -> str:
    values = params.getlist(name)
    return _address(params, path, **{name: [v for v in values if v != value] if value in values else [*values, value]})


def _address(params: QueryDict, path: str, **changed: list[str]) -> str:
    """The same list with some parameters changed; a page further on makes sense only in the list it came from."""
    kept = {name: values for name, values in params.lists() if name in {*CHIPS, *BOUNDS, "q", "sort"}} | changed
    wanted = urlencode([(name, value) for name, values in kept.items() for value in values if value])
    return f"{path}?{wanted}" if wanted else path
