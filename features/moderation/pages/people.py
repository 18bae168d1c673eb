"""Reporters and the standing of people, for moderators; reporting something, and what came of one's reports."""

from typing import ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from features.moderation import appeals, cases, evidence, intake, queue, strikes, targets
from features.moderation.pages.appeals import Reasoned
from hub import limits
from hub.site import lists
from hub.site.forms import Form, Radios, Refusals, posted, text_field
from hub.site.sign_in.sessions import for_moderators
from hub.site.visitor import caller, person
from registry.kernel import policy, seams
from registry.kernel.errors import ValueInvalid
from registry.models import AbuseReport, Case, User
from registry.moderation import suspension
from registry.people import accounts

PEOPLE, LISTED = 100, 50


class NewReport(Form):
    """A report of something that the address names, with the place that the reporter looked at."""

    reason = forms.ChoiceField(
        label=_("What is wrong"),
        choices=[(value, _(label)) for value, label in Case.Reason.choices],
        widget=Radios,
        error_messages={"required": _("Choose what is wrong.")},
    )
    text = text_field(
        _("What did you see?"),
        _("What happens, how to reproduce it, where else it is known. Only moderators read this."),
        required=False,
        widget=forms.Textarea,
        rows=6,
        maxlength=intake.MAX_TEXT,
    )
    file = text_field(_("File"), _("Path in the repository. Optional."), required=False, maxlength=1024)
    line = text_field(_("Line"), required=False, maxlength=8, inputmode="numeric")
    end_line = text_field(_("To line"), required=False, maxlength=8, inputmode="numeric")
    tensor = text_field(_("Tensor"), _("Tensor name, for weights. Optional."), required=False, maxlength=500)
    commit = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)

    PLACE: ClassVar[tuple[str, ...]] = ("commit", "file", "line", "end_line", "tensor")
    fields_of: ClassVar[Refusals] = {ValueInvalid: "text"}

    @property
    def place(self) -> dict[str, object]:
        """The evidence as it was typed."""
        return {name: self.cleaned_data[name] for name in self.PLACE}


@for_moderators
@require_safe
def reporters(request: HttpRequest) -> HttpResponse:
    """List who reported something, with how often they were right."""
    by = caller(request)
    context = {"people": queue.reporters(by)[:PEOPLE], "may_trust": policy.is_hub_admin(by)}
    return render(request, "moderation/reporters.html", context)


def trust(request: HttpRequest, name: str) -> HttpResponse:
    queue.set_trusted(accounts.get_person(name), caller(request), True)
    return redirect("moderation-reporters")


def distrust(request: HttpRequest, name: str) -> HttpResponse:
    queue.set_trusted(accounts.get_person(name), caller(request), False)
    return redirect("moderation-reporters")


@for_moderators
@require_safe
def show_person(request: HttpRequest, name: str) -> HttpResponse:
    """Show somebody's standing."""
    return _page(request, accounts.get_person(name), Reasoned())


def void_strike(request: HttpRequest, name: str, strike: int) -> HttpResponse:
    user, form = accounts.get_person(name), Reasoned(request.POST)
    row = user.strikes.select_related("user").filter(pk=strike).first()
    if row is not None and form.is_valid():
        with form:
            strikes.void(row, caller(request), reason=form.cleaned_data["reason"])
            return redirect("moderation-person", user.username)
    return _page(request, user, form)


def unsuspend(request: HttpRequest, name: str) -> HttpResponse:
    user, form = accounts.get_person(name), Reasoned(request.POST)
    if form.is_valid():
        with form:
            suspension.unsuspend(user, caller(request), reason=form.cleaned_data["reason"])
            messages.success(request, gettext("{name} may sign in again.").format(name=user.username))
            return redirect("moderation-person", user.username)
    return _page(request, user, form)


def _page(request: HttpRequest, user: User, form: Reasoned) -> HttpResponse:
    context = {"person": user, "standing": appeals.of_person(user, caller(request)), "form": form}
    return render(request, "moderation/person.html", context, status=form.status)


@require_http_methods(["GET", "POST"])
def new_report(request: HttpRequest) -> HttpResponse:
    """Show the form for what the address names (`type` and `id`), and file what was sent."""
    by = caller(request)
    policy.require_person(by, "report something")
    target = targets.find(request.GET.get("type", ""), request.GET.get("id", ""), by)
    form = NewReport(posted(request), initial=_seen(request, target))
    if form.is_valid():
        with form:
            limits.take_report(by)
            places = evidence.parse([form.place])
            intake.report(
                target, by, reason=form.cleaned_data["reason"], text=form.cleaned_data["text"], evidence=places
            )
            return redirect("own-reports")
    asked = urlencode({name: request.GET.get(name, "") for name in ("type", "id")})
    context = {"form": form, "target": target, "asked": asked, "in_files": target.revision or target.repository}
    return render(request, "moderation/report.html", context, status=form.status)


def _seen(request: HttpRequest, target: targets.Target) -> dict[str, str]:
    """Return what the reporter looked at, as the address and the target say."""
    seen = {name: request.GET.get(name, "")[:1024] for name in ("reason", "line", "end_line", "tensor")}
    return {**seen, "file": target.path, "commit": target.revision.oid if target.revision else ""}


@require_safe
def own_standing(request: HttpRequest) -> HttpResponse:
    """Show what moderation holds against the visitor, and what they reported with what moderators decided."""
    user = person(request)
    seams.saw(user, "standing")
    rows = cases.own_reports(user)
    mine = Prefetch("reports", AbuseReport.objects.filter(reporter=user), to_attr="mine")
    page, older = lists.older(request, rows.prefetch_related(mine), LISTED)
    context = {"standing": appeals.of_person(user, caller(request)), "cases": page, "older": older}
    return render(request, "moderation/standing.html", context)
