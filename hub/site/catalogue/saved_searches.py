"""The searches that a person keeps: their list, saving one from the catalogue, and deleting one."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from hub.shared import saved_searches as saving
from hub.site.catalogue import catalogue
from hub.site.forms import posted
from hub.site.forms.account.searches import SaveSearch
from hub.site.sign_in.account import page_before
from hub.site.visitor import caller, person
from registry.models import SavedSearch
from registry.repos.lists import saved_searches


@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """List the saved searches; POST saves one and leads back to it, and a refused one is shown to be corrected."""
    user, form = person(request), SaveSearch(posted(request))
    if form.is_valid():
        given = form.cleaned_data
        with form:
            saving.save(given["name"], given["type"], given["query"], caller(request))
            messages.success(request, gettext("The search is saved, in your settings."))
            return redirect(page_before(request, reverse("saved-searches")))
    rows = saved_searches.list_saved(user)
    shown = {"form": form, "searches": [(saving.addressed(row), _described(row)) for row in rows]}
    return render(request, "site/saved_searches.html", shown, status=form.status)


@require_POST
def delete(request: HttpRequest, number: int) -> HttpResponse:
    person(request)
    saved_searches.delete(number, caller(request))
    return redirect("saved-searches")


def _described(search: SavedSearch) -> str:
    """Return the filters and the order of a search in words."""
    params = QueryDict(search.query)
    filters = [f"{chip.name}: {chip.label}" for chip in catalogue.chips(params, "")]
    order = catalogue.SORTS.get(str(params.get("sort", "")))
    ordered = [gettext("by {order}").format(order=order)] if order else []
    return " · ".join([str(catalogue.TITLES[search.type]), *filters, *ordered])
