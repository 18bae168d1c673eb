"""The blocklist of files, for moderators."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from hub.site import paging
from hub.site.administration.staff import for_moderators
from hub.site.forms import posted
from hub.site.forms.moderation import Block
from hub.site.visitor import caller
from registry.moderation import blocklist

ROWS = 50  # of one page


@for_moderators
@require_http_methods(["GET", "HEAD", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """Show the blocked files, and block more."""
    form = Block(posted(request))
    if form.is_valid():
        given = form.cleaned_data
        with form:
            blocklist.block(given["digests"].split(), caller(request), reason=given["reason"], note=given["note"])
            return redirect("blocklist")
    query = request.GET.get("sha256", "").strip().lower()
    rows, older = paging.older(request, blocklist.listed(query), ROWS)
    context = {"form": form, "rows": rows, "older": older, "query": query}
    return render(request, "site/moderation/blocklist.html", context, status=form.status)


@for_moderators
@require_POST
def unblock(request: HttpRequest) -> HttpResponse:
    blocklist.unblock(request.POST.get("sha256", ""), caller(request))
    return redirect("blocklist")
