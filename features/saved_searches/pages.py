"""The searches that a person keeps: their list, saving one from the catalogue, and deleting one."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from features.saved_searches import addresses, verbs
from features.saved_searches.models import SavedSearch
from hub.site import routing
from hub.site.catalogue import catalogue
from hub.site.forms import Form, posted, text_field
from hub.site.panels import Link, Pages, Panel
from hub.site.visitor import caller, page_before, person


class SaveSearch(Form):
    name = text_field(_("Name"), _("Use an existing name to replace its filters."), maxlength=verbs.MAX_NAME)
    type = forms.CharField(required=False, widget=forms.HiddenInput)
    query = forms.CharField(required=False, widget=forms.HiddenInput)


@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """List the saved searches; POST saves one and leads back to it, and a refused one is shown to be corrected."""
    user, form = person(request), SaveSearch(posted(request))
    if form.is_valid():
        given = form.cleaned_data
        with form:
            addresses.save(given["name"], given["type"], given["query"], caller(request))
            messages.success(request, gettext("The search is saved, in your settings."))
            return redirect(page_before(request, reverse("saved-searches")))
    rows = verbs.list_saved(user)
    shown = {"form": form, "searches": [(addresses.addressed(row), _described(row)) for row in rows]}
    return render(request, "saved_searches/listed.html", shown, status=form.status)


def delete(request: HttpRequest, number: int) -> HttpResponse:
    person(request)
    verbs.delete(number, caller(request))
    return redirect("saved-searches")


def _described(search: SavedSearch) -> str:
    """Return the filters and the order of a search in words."""
    params = QueryDict(search.query)
    filters = [f"{chip.name}: {chip.label}" for chip in catalogue.chips(params, "")]
    order = catalogue.SORTS.get(str(params.get("sort", "")))
    ordered = [gettext("by {order}").format(order=order)] if order else []
    return " · ".join([str(catalogue.TITLES[search.type]), *filters, *ordered])


def _offered(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what the catalogue's button saves: the filters in force under a name made of them; None without any."""
    if not page["filters"] or page["request"].caller.user is None:
        return None
    return {"suggested": ", ".join(chip.label for chip in page["chips"])[: verbs.MAX_NAME]}


PAGES = Pages(
    routes=[
        routing.at("settings/searches", listed, "saved-searches"),
        *routing.forms("saved-searches", "settings/searches", ("<int:number>/delete", delete, "delete-search")),
    ],
    links=(Link("settings", "saved-searches", _("Saved searches"), place=52, group=_("Notifications")),),
    panels=(Panel("catalogue", "saved_searches/save.html", _offered),),
)
