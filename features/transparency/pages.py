"""The transparency page: what was reported, held back, appealed and taken down, by month."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from features.transparency import verbs
from hub.site import routing
from hub.site.panels import Link, Pages
from hub.site.refusals import not_found
from hub.site.visitor import caller
from registry.models import Case


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    if not verbs.may_see(caller(request)):
        return not_found(request)
    months = verbs.months()
    words = dict(Case.Reason.choices)
    journal = [
        entry | {"cause": words.get(entry["cause"], entry["cause"])} for month in months for entry in month.journal
    ]
    rows = [
        (month, [(words.get(key, key), count) for key, count in month.numbers["reports"].items()]) for month in months
    ]
    context = {"rows": rows, "journal": journal, "computed_at": months[0].computed_at if months else None}
    return render(request, "transparency/months.html", context)


PAGES = Pages(
    routes=[routing.at("transparency", page, "transparency")],
    links=(Link("status", "transparency", _("Transparency"), place=30, group=_("Status"), may=verbs.may_see),),
)
