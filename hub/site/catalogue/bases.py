"""Base models: which ones adapters are built on, and one base with its adapters."""

from dataclasses import replace
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from hub.site.lists import at_cursor, rows_of
from hub.site.visitor import caller
from registry.kernel.errors import BaseNotFound
from registry.models import Verdict
from registry.repos import bases as known
from registry.repos.lists import catalog, tallies
from registry.repos.lists.catalog import Query

OPEN = (Verdict.State.QUEUED, Verdict.State.RUNNING)


@require_safe
def bases(request: HttpRequest) -> HttpResponse:
    page, problems = at_cursor(request, lambda cursor: tallies.list_bases(caller(request), cursor=cursor, limit=50))
    shown = [(row, known.license_of(row.base, row.id)) for row in page.items]
    next = f"?{urlencode({'cursor': page.next})}" if page.next else ""
    return render(request, "site/bases.html", {"section": "bases", "problems": problems, "rows": shown, "next": next})


@require_safe
def base(request: HttpRequest, name: str) -> HttpResponse:
    """Show a base, by the name that counts, with its adapters; of one that is not known, the way to ask for it.

    Raises BaseNotFound for what is no name of a base.
    """
    bare = name.rstrip("/")
    held = known.find_base(bare)
    id = held.id if held else known.canonical_name(bare)
    by, query = caller(request), Query(base=[id], has_known_bases=True)
    page, problems = at_cursor(request, lambda cursor: catalog.search(by, query, cursor=cursor))
    is_unknown = held is None and not page.items
    if is_unknown and not known.is_id(bare):
        raise BaseNotFound(f"Unknown base model {name!r}: no adapter here uses it, and it is not in the base cache.")
    if id != name:
        return redirect("base", id)
    license = known.license_of(held, id)
    shown = {
        "section": "bases",
        "name": id,
        "base": held,
        "aliases": known.names_of(held) if held else (),
        "license": license,
        "duties": known.license_duties(license),
        "files": sorted(held.files.items()) if held else [],
        "count": tallies.count_matches(by, query),
        "waiting": tallies.count_matches(by, replace(query, verdict=OPEN)) if held else 0,
        "problems": problems,
        "rows": rows_of(page),
        "next": f"?cursor={page.next}" if page.next else "",
    }
    return render(request, "site/base_model.html", shown, status=404 if is_unknown else 200)
