"""The bin: repositories that somebody deleted, to be restored or deleted for good."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from hub.site.forms import Confirm
from hub.site.forms.repositories import Restore
from hub.site.sign_in.reauthentication import needs_recent_authentication
from hub.site.visitor import caller, person
from hub.site.words import DELETE_LABELS
from registry.models import Repository
from registry.publish.retention import restoring

MOST = 200  # repositories on the page
PURGE_HELP = _("For good: nobody can restore it. Type `{name}` to confirm.")


@dataclass(frozen=True, slots=True)
class Binned:
    """A repository in the bin with its two forms, and when it is deleted for good."""

    repository: Repository
    ends_at: datetime
    restore: Restore
    purge: Confirm


@require_safe
def listed(request: HttpRequest) -> HttpResponse:
    return _page(request)


@require_POST
def restore(request: HttpRequest, number: int) -> HttpResponse:
    person(request)
    form = Restore(request.POST, auto_id=f"%s-{number}")
    if form.is_valid():
        with form:
            return redirect(restoring.restore(number, caller(request), form.cleaned_data["name"]))
    return _page(request, number, restore=form)


@require_POST
@needs_recent_authentication
def purge(request: HttpRequest, number: int) -> HttpResponse:
    row = restoring.find(number, caller(request))
    form = _confirm(row, request.POST)
    if form.is_valid():
        with form:
            restoring.purge(number, caller(request))
            return redirect("bin")
    return _page(request, number, purge=form)


def _confirm(row: Repository, data: object = None) -> Confirm:
    help_text = PURGE_HELP.format(name=row.full_name)
    return Confirm(
        data, label=str(DELETE_LABELS[row.type]), name=row.full_name, help_text=help_text, auto_id=f"%s-{row.pk}"
    )


def _page(
    request: HttpRequest, number: int = 0, restore: Restore | None = None, purge: Confirm | None = None
) -> HttpResponse:
    """Show the bin; `restore` or `purge` is the form that was refused for the repository of this number."""
    person(request)
    days = restoring.days()
    binned = [
        Binned(
            row,
            (row.binned_at or row.created_at) + timedelta(days=days),
            restore if restore and row.pk == number else Restore(initial={"name": row.name}, auto_id=f"%s-{row.pk}"),
            purge if purge and row.pk == number else _confirm(row),
        )
        for row in restoring.listed(caller(request))[:MOST]
    ]
    refused = restore or purge
    shown = {"binned": binned, "days": days, "open": number}
    return render(request, "site/bin.html", shown, status=refused.status if refused else 200)
