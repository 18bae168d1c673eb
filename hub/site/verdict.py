"""The page of a verdict, check by check; and the panel that pages poll while the revision is validated."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hub.site import other_forms, weights
from hub.site.repository_header import RepositoryHeader, repository_page
from hub.site.use import snippets
from registry.proof.verdicts import asking


@repository_page
def verdict(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """Show the page, or with `was=STATE` the panel alone; the browser reloads the page once the state has changed."""
    if "was" in request.GET:
        return _panel(request, header, request.GET["was"])
    if header.proof is None:
        raise asking.no_adapter(header.revision)
    page = {"header": header, "tab": "verdict", "snippets": snippets(request, header)}
    page |= other_forms.in_use(header) | {"measured_files": weights.panels(header)}
    return render(request, "site/verdict.html", page)


def _panel(request: HttpRequest, header: RepositoryHeader, was: str) -> HttpResponse:
    state = header.proof.document.state if header.proof else "none"
    if state != was and (was == "none" or not header.proof or not header.proof.is_open):
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return render(request, "site/parts/proof.html", {"header": header})
