"""Collections as pages: the list of them, and one with what is in it. They are made and filled by `hf collections`."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hub.site.lines import line
from hub.site.visitor import caller
from registry import catalog, collections

PAGE = 30


@require_safe
def listed(request: HttpRequest) -> HttpResponse:
    """Newest change first; `owner` narrows it down."""
    rows = collections.listed(caller(request), owners=request.GET.getlist("owner"))
    if cursor := request.GET.get("cursor", ""):
        rows = collections.after(rows, cursor)
    found = list(rows[: PAGE + 1])
    query = request.GET.copy()
    if len(found) > PAGE:
        query["cursor"] = collections.cursor(found[PAGE - 1])
    shown = {
        "rows": [(collections.slug(one), one) for one in found[:PAGE]],
        "owners": request.GET.getlist("owner"),
        "next": f"?{query.urlencode()}" if len(found) > PAGE else "",
    }
    return render(request, "site/collections.html", shown)


@require_safe
def one(request: HttpRequest, ns: str, slug: str) -> HttpResponse:
    found = collections.find(f"{ns}/{slug}", caller(request))
    address = collections.slug(found)
    if address != f"{ns}/{slug}":
        return HttpResponseRedirect(f"/collections/{address}")
    items = collections.items(found, caller(request))
    verdicts = catalog.newest_verdicts([item.adapter for item in items if item.adapter])
    entries = [
        {
            "item": item,
            "line": line(item.adapter, verdicts.get(item.adapter.pk)) if item.adapter else None,
            "slug": collections.slug(item.nested) if item.nested else "",
        }
        for item in items
    ]
    return render(request, "site/collection.html", {"collection": found, "slug": address, "entries": entries})
