"""Reporters and their accuracy; the standing of one person, with strikes to void and a suspension to end."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from hub.site.administration.staff import for_moderators
from hub.site.forms.cases import Reasoned
from hub.site.visitor import caller
from registry.kernel import policy
from registry.kernel.errors import RegistryError
from registry.models import User
from registry.moderation.cases import reputation
from registry.moderation.strikes import standing, strikes, suspension
from registry.people import accounts

LISTED = 100


@for_moderators
@require_safe
def reporters(request: HttpRequest) -> HttpResponse:
    """List who reported something, with how often they were right."""
    by = caller(request)
    context = {"people": reputation.reporters(by)[:LISTED], "may_trust": policy.is_hub_admin(by), "tab": "reporters"}
    return render(request, "site/moderation/reporters.html", context)


@for_moderators
@require_POST
def trust(request: HttpRequest, name: str) -> HttpResponse:
    reputation.set_trusted(accounts.get_person(name), caller(request), True)
    return redirect("moderation-reporters")


@for_moderators
@require_POST
def distrust(request: HttpRequest, name: str) -> HttpResponse:
    reputation.set_trusted(accounts.get_person(name), caller(request), False)
    return redirect("moderation-reporters")


@for_moderators
@require_safe
def one(request: HttpRequest, name: str) -> HttpResponse:
    """Show somebody's standing."""
    return _page(request, accounts.get_person(name), Reasoned())


@for_moderators
@require_POST
def void_strike(request: HttpRequest, name: str, strike: int) -> HttpResponse:
    user, form = accounts.get_person(name), Reasoned(request.POST)
    row = user.strikes.select_related("user").filter(pk=strike).first()
    if row is not None and form.is_valid():
        with form:
            strikes.void(row, caller(request), reason=form.cleaned_data["reason"])
            return redirect("moderation-person", user.username)
    return _page(request, user, form)


@for_moderators
@require_POST
def unsuspend(request: HttpRequest, name: str) -> HttpResponse:
    user, form = accounts.get_person(name), Reasoned(request.POST)
    if form.is_valid():
        try:
            suspension.unsuspend(user, caller(request), reason=form.cleaned_data["reason"])
        except RegistryError as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, gettext("{name} may sign in again.").format(name=user.username))
            return redirect("moderation-person", user.username)
    return _page(request, user, form)


def _page(request: HttpRequest, user: User, form: Reasoned) -> HttpResponse:
    context = {"person": user, "standing": standing.of_person(user, caller(request)), "form": form, "tab": "reporters"}
    return render(request, "site/moderation/person.html", context, status=form.status)
