"""The page of changed verdicts: which adapters stopped working when they were proven again, with what and why."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub.site.docs import documentation
from hub.site.visitor import caller
from registry.proof import renewal

SHOWN = 40  # groups on the page
WORDS = {
    "stopped": (_("stopped working"), "failed"),
    "works": (_("work again"), "passed"),
    "broke": (_("could not be proven again"), "noted"),
    "other": (_("fail otherwise"), "noted"),
}
ONE = {
    "stopped": _("stopped working"),
    "works": _("works again"),
    "broke": _("could not be proven again"),
    "other": _("fails otherwise"),
}


@require_safe
def changes(request: HttpRequest) -> HttpResponse:
    found = renewal.changes(caller(request))
    groups = [
        {
            "change": change,
            "words": ONE[change.turn] if len(change.verdicts) == 1 else WORDS[change.turn][0],
            "colour": WORDS[change.turn][1],
            "address": documentation.address_of(change.check),
        }
        for change in found[:SHOWN]
    ]
    shown = {"groups": groups, "more": len(found) - len(groups), "days": renewal.KEPT_DAYS}
    return render(request, "site/changes.html", shown)
