"""Reporting something to the moderators, and what came of one's own reports."""

from urllib.parse import urlencode

from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from hub import limits
from hub.site import lists
from hub.site.forms import posted
from hub.site.forms.cases import NewReport
from hub.site.visitor import caller, person
from registry.kernel import policy
from registry.models import AbuseReport
from registry.moderation import targets
from registry.moderation.cases import cases, evidence, intake
from registry.moderation.targets import Target

LISTED = 50


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
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
    return render(request, "site/report_new.html", context, status=form.status)


def _seen(request: HttpRequest, target: Target) -> dict[str, str]:
    """Return what the reporter looked at, as the address and the target say."""
    seen = {name: request.GET.get(name, "")[:1024] for name in ("reason", "line", "end_line", "tensor")}
    return {**seen, "file": target.path, "commit": target.revision.oid if target.revision else ""}


@require_safe
def own(request: HttpRequest) -> HttpResponse:
    """List the visitor's reports with what moderators decided."""
    user = person(request)
    rows = cases.own_reports(user)
    mine = Prefetch("reports", AbuseReport.objects.filter(reporter=user), to_attr="mine")
    page, older = lists.older(request, rows.prefetch_related(mine), LISTED)
    return render(request, "site/reports.html", {"cases": page, "older": older})
