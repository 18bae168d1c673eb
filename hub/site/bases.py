"""Base models: which ones adapters are built on, and one base with its adapters."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hub.site.lines import lines
from hub.site.visitor import caller
from registry import catalog
from registry.catalog import Query
from registry.errors import BaseNotFound
from registry.models import Base


@require_safe
def bases(request: HttpRequest) -> HttpResponse:
    used = catalog.bases(caller(request))
    shelf = Base.objects.in_bulk([name for name, _ in used])
    rows = [(name, count, shelf.get(name)) for name, count in used]
    return render(request, "site/bases.html", {"section": "bases", "rows": rows})


@require_safe
def base(request: HttpRequest, name: str) -> HttpResponse:
    """One base: on the shelf or not, and what fits it. Raises BaseNotFound where neither is known."""
    by, query = caller(request), Query(base=[name])
    page = catalog.search(by, query, cursor=request.GET.get("cursor", ""))
    held = Base.objects.filter(pk=name).first()
    if held is None and not page.items:
        raise BaseNotFound(f"No adapter here names the base {name!r}, and it is not on the shelf.")
    shown = {
        "section": "bases",
        "name": name,
        "base": held,
        "count": catalog.matching(by, query).count(),
        "lines": lines(page),
        "next": f"?cursor={page.next}" if page.next else "",
    }
    return render(request, "site/base_model.html", shown)
