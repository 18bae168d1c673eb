"""The moderators' queue with the panel of one case beside it, and the decision on several cases at once."""

from dataclasses import asdict
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from hub.site.administration.staff import for_moderators
from hub.site.forms.cases import CloseMany, SaveView
from hub.site.moderation.case import panel
from hub.site.visitor import caller
from hub.site.words import english
from registry.kernel import site_settings
from registry.kernel.texts import cursors
from registry.models import Case
from registry.moderation.cases import cases, queue, queue_views
from registry.moderation.cases.outcomes import Decision
from registry.moderation.cases.queue import Query

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

PAGE = 50
SEVERITIES = {"3": _("high"), "2": _("medium"), "1": _("low")}
CHOICES: "dict[str, list[tuple[str, StrOrPromise]]]" = {
    "state": [(name, name) for name in queue.STATES],
    "severity": [("", _("any")), *SEVERITIES.items()],
    "source": [("", _("anybody")), ("people", _("people")), ("hub", _("the hub"))],
    "reason": [("", _("any")), *((reason.value, reason.value) for reason in Case.Reason)],
    "target": [("", _("anything")), *((kind.value, kind.value) for kind in Case.Target)],
    "sort": [("", _("gravest first")), ("oldest", _("oldest first"))],
}


@for_moderators
@require_safe
def listed(request: HttpRequest) -> HttpResponse:
    """List the cases of the filter in the address; `case` opens one beside the list."""
    query = _query(request)
    number = min(max(cursors.parse_row_number(request.GET.get("page", "")), 1), 1000)
    start = (number - 1) * PAGE
    rows = list(queue.matching(caller(request), query)[start : start + PAGE + 1])
    chosen = cursors.parse_row_number(request.GET.get("case", ""))
    kept = urlencode({name: value for name, value in asdict(query).items() if value})
    context = {
        "rows": queue.with_facts(rows[:PAGE]),
        "text": query.q,
        "filters": [(name, options, str(getattr(query, name) or "")) for name, options in CHOICES.items()],
        "kept": kept,
        "views": queue_views.list_views(caller(request)),
        "hours": site_settings.get_setting("case_hours"),
        "page": number,
        "more": len(rows) > PAGE,
        "chosen": chosen,
        "bulk": CloseMany(auto_id="bulk_%s"),
        "tab": "queue",
        **(panel(request, cases.get_case(chosen, caller(request))) if chosen else {}),
    }
    return render(request, "site/moderation/queue.html", context)


def _query(request: HttpRequest) -> Query:
    """Return the filters of the address; a value that is none filters nothing."""
    asked = {
        name: request.GET.get(name, "")
        for name, options in CHOICES.items()
        if request.GET.get(name, "") in dict(options)
    }
    severity = int(asked.pop("severity", "") or 0)
    return Query(
        **{"state": "waiting", **{name: value for name, value in asked.items() if value}},
        severity=severity,
        q=request.GET.get("q", "")[:200],
    )


@for_moderators
@require_POST
def close_many(request: HttpRequest) -> HttpResponse:
    """Close the ticked cases with one decision, and say which could not be closed."""
    numbers = [cursors.parse_row_number(value) for value in request.POST.getlist("case")][: cases.MAX_AT_ONCE]
    form = CloseMany(request.POST, numbers=numbers)
    if not form.is_valid():
        messages.error(request, form.all_errors)
        return redirect("moderation")
    decision = Decision(form.cleaned_data["outcome"], form.cleaned_data["reason"])
    closed, refused = cases.close_many(form.cleaned_data["case"], caller(request), decision)
    sentence = ngettext("{count} case closed.", "{count} cases closed.", len(closed))
    messages.success(request, sentence.format(count=len(closed)))
    for number, reason in refused:
        sentence = format_html(gettext("Case {number}: {reason}"), number=number, reason=english(reason))
        messages.error(request, sentence)
    return redirect(f"{reverse('moderation')}?{request.GET.urlencode()}".rstrip("?"))


@for_moderators
@require_POST
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep the filters of the list under a name."""
    form = SaveView(request.POST)
    if form.is_valid():
        with form:
            view = queue_views.save(caller(request), form.cleaned_data["name"], form.cleaned_data["query"])
            return redirect(f"{reverse('moderation')}?{view.query}")
    messages.error(request, form.all_errors)
    return redirect("moderation")


@for_moderators
@require_POST
def remove_view(request: HttpRequest, number: int) -> HttpResponse:
    queue_views.remove(caller(request), number)
    return redirect("moderation")
