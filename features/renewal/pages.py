"""The page of adapters that stopped working, or work again, since something else than their bytes changed."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from features.renewal import verbs
from hub.site import documentation, routing
from hub.site.panels import Link, Pages
from hub.site.visitor import caller

CHANGES_SHOWN = 40  # groups on the page
TURNS = {
    "stopped": (_("stopped working"), "failed"),
    "works": (_("work again"), "passed"),
    "broke": (_("could not be tested again"), "noted"),
    "other": (_("fail otherwise"), "noted"),
}
ONE_TURN = {
    "stopped": _("stopped working"),
    "works": _("works again"),
    "broke": _("could not be tested again"),
    "other": _("fails otherwise"),
}


@require_safe
def changes(request: HttpRequest) -> HttpResponse:
    """Show which adapters stopped working when they were proven again, with what and why."""
    found = verbs.changes(caller(request))
    groups = [
        {
            "change": change,
            "words": ONE_TURN[change.turn] if len(change.verdicts) == 1 else TURNS[change.turn][0],
            "colour": TURNS[change.turn][1],
            "address": documentation.address_of(change.check),
        }
        for change in found[:CHANGES_SHOWN]
    ]
    shown = {"groups": groups, "more": len(found) - len(groups), "days": verbs.KEPT_DAYS}
    return render(request, "renewal/changes.html", shown)


PAGES = Pages(
    routes=[routing.at("stats/changes", changes, "changes")],
    links=(Link("status", "changes", _("What changed"), place=20, group=_("Status")),),
)
