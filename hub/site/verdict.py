"""What was proven about one revision, check by check; and the panel that pages ask for while it is proven."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hub.site.head import Head, adapter_page
from hub.site.use import snippets
from registry.kernel.errors import VerdictNotApplicable


@adapter_page
def verdict(request: HttpRequest, head: Head) -> HttpResponse:
    """The page, or with `was=STATE` the panel alone; where the state moved on, the browser loads the page anew."""
    if "was" in request.GET:
        return _panel(request, head, request.GET["was"])
    if head.proof is None:
        raise VerdictNotApplicable(f"Nothing in this revision of {head.repository.full_name} is an adapter.")
    return render(request, "site/verdict.html", {"head": head, "tab": "verdict", "snippets": snippets(request, head)})


def _panel(request: HttpRequest, head: Head, was: str) -> HttpResponse:
    now = head.proof.document.state if head.proof else "none"
    if now != was and (was == "none" or not head.proof or not head.proof.is_open):
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return render(request, "site/parts/proof.html", {"head": head})
