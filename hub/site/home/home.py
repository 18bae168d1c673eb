"""The front page: what Dovetail is, what it proved lately, and on which bases."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dovetail.adapters.results.report import CheckResult, Report
from hub.addresses import origin
from hub.site.catalogue.list_rows import rows_of
from hub.site.proof.proof import Document
from hub.site.verdict_summary import AREAS
from hub.site.visitor import caller
from registry.repos.lists import catalog, tallies
from registry.repos.lists.catalog import Query

ALL_PASSED = Report(state="passed", checks=tuple(CheckResult(f"{area}.x", "passed") for area in AREAS))


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    by = caller(request)
    shown = {
        "totals": tallies.public_totals(),
        "rows": rows_of(catalog.search(by, Query(verdict=["passed"]), limit=6)),
        "bases": tallies.list_bases(by, limit=8).items,
        "address": origin(request),
        "drawn": Document(ALL_PASSED),
    }
    return render(request, "site/home.html", shown)
