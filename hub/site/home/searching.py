"""The search of the top bar: adapters, bases, people and organisations, and files by their digest."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from hub.site.catalogue.list_rows import rows_of
from hub.site.visitor import caller
from registry.repos.lists import finding
from registry.repos.lists.catalog import Query

LONGEST = 200  # characters, as the field of the top bar takes


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Show the first of each kind; without words, lead to the catalogue."""
    by, query = caller(request), Query(q=request.GET.get("q", "").strip()[:LONGEST])
    found = finding.find(by, query) if query.q else None
    shown = {
        "query": query.q,
        "found": found,
        "rows": rows_of(found.adapters) if found else [],
        "owners": [(owner, finding.full_name(owner)) for owner in found.owners] if found else [],
        "suggestion": finding.suggest(by, query) if query.q and not found else "",
        "catalogue": f"{reverse('adapters')}?{urlencode({'q': query.q})}",
    }
    return render(request, "site/search.html", shown)
