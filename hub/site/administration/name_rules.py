"""Rules for names, which administrators change, and names that look like well-known ones; moderators see both."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from hub.site import paging
from hub.site.administration.staff import for_administrators, for_moderators
from hub.site.forms import posted
from hub.site.forms.moderation import NewRule
from hub.site.visitor import caller
from registry.kernel import policy
from registry.kernel.texts import cursors
from registry.people import known_names, name_rules

ROWS = 50  # observations of one page


def listed(request: HttpRequest) -> HttpResponse:
    """Show rules and observations, and add rules."""
    return _add(request) if request.method == "POST" else _show(request, form=NewRule())


@for_administrators
@require_POST
def remove(request: HttpRequest) -> HttpResponse:
    by = policy.require_admin(caller(request))
    name_rules.remove(cursors.parse_row_number(request.POST.get("rule", "")), by)
    return redirect("site-names")


@for_administrators
def _add(request: HttpRequest) -> HttpResponse:
    by = policy.require_admin(caller(request))
    form = NewRule(posted(request))
    if form.is_valid():
        given = form.cleaned_data
        with form:
            name_rules.add_all(
                given["patterns"].splitlines(), by, kind=given["kind"], scope=given["scope"], reason=given["reason"]
            )
            return redirect("site-names")
    return _show(request, form=form)


@for_moderators
def _show(request: HttpRequest, form: NewRule) -> HttpResponse:
    observations, older = paging.older(request, known_names.recent(), ROWS)
    context = {
        "form": form,
        "rules": name_rules.listed(),
        "observations": observations,
        "older": older,
        "may_change": policy.is_hub_admin(caller(request)),
    }
    return render(request, "site/moderation/names.html", context, status=form.status)
