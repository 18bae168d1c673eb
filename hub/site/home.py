"""The front page: what Dovetail is, what it proved lately, and on which bases."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hub.origin import origin
from hub.site.joint import AREAS
from hub.site.lines import lines
from hub.site.visitor import caller
from registry.repos import catalog
from registry.repos.catalog import Query


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    by = caller(request)
    shown = {
        "totals": catalog.public_totals(),
        "lines": lines(catalog.search(by, Query(verdict=["passed"]), limit=6)),
        "bases": catalog.list_bases(by, limit=8).items,
        "address": origin(request),
        "drawn": {"state": "passed", "checks": [{"id": f"{area}.x", "outcome": "passed"} for area in AREAS]},
    }
    return render(request, "site/home.html", shown)
