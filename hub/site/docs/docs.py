"""The documentation on the website: refusals, settings and checks link to its headings."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import get_script_prefix
from django.utils.html import escape
from django.views.decorators.http import require_safe

from hub.addresses import origin
from hub.site.docs import docs_search, documentation
from hub.site.docs.documentation import EXAMPLE, READER, START
from hub.site.visitor import caller


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show all pages, or what the words of `q` find in them."""
    query = request.GET.get("q", "").strip()[: docs_search.LONGEST]
    shown = {"section": "docs", "groups": documentation.menu(), "words": query}
    return render(request, "site/docs.html", shown | {"found": docs_search.search(query)})


@require_safe
def one(request: HttpRequest, name: str) -> HttpResponse:
    name = name.removesuffix(".md")  # as the pages call each other
    if name not in documentation.names():
        raise Http404
    page, user, here = documentation.page(name), caller(request).user, origin(request)
    html = page.html.replace(EXAMPLE, escape(here))  # what is copied from here works as it is
    html = html.replace('<a href="/', f'<a href="{get_script_prefix()}')
    is_start = name.startswith(START)
    if is_start and user:
        html = html.replace(READER, f"{escape(user.username)}/")
    before, after = documentation.neighbours(name)
    context = {"section": "docs", "groups": documentation.menu(), "page": page, "html": html}
    context |= {"before": before, "after": after, "here": here if is_start else ""}
    return render(request, "site/docs_page.html", context)
