"""One case of the queue: what there is to know about it, claim, notes, and the decision."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from hub.shared.sessions import is_recent
from hub.site.administration.staff import for_moderators
from hub.site.forms.cases import Decide, Note
from hub.site.sign_in.sessions import ask_again
from hub.site.visitor import caller
from hub.site.words import in_words
from registry.models import Case
from registry.moderation.cases import cases, dossier, outcomes, queue
from registry.moderation.cases.outcomes import Decision
from registry.moderation.cases.queue import Query


@for_moderators
@require_safe
def one(request: HttpRequest, number: int) -> HttpResponse:
    """Show one case on a page of its own."""
    return _page(request, cases.get_case(number, caller(request)))


@for_moderators
@require_POST
def claim(request: HttpRequest, number: int) -> HttpResponse:
    case = cases.get_case(number, caller(request))
    cases.claim(case, caller(request))
    return _back(request, case)


@for_moderators
@require_POST
def give_back(request: HttpRequest, number: int) -> HttpResponse:
    case = cases.get_case(number, caller(request))
    cases.give_back(case, caller(request))
    return _back(request, case)


@for_moderators
@require_POST
def note(request: HttpRequest, number: int) -> HttpResponse:
    case = cases.get_case(number, caller(request))
    form = Note(request.POST)
    if form.is_valid():
        with form:
            cases.add_note(case, caller(request), form.cleaned_data["text"])
            return _back(request, case)
    return _page(request, case, note=form)


@for_moderators
@require_POST
def close(request: HttpRequest, number: int) -> HttpResponse:
    """Decide a case, and go on with the next one of the queue."""
    case = cases.get_case(number, caller(request))
    form = _form(case, request)
    if form.is_valid():
        given = form.cleaned_data
        if outcomes.DEEDS[given["outcome"]].is_final and not is_recent(request):
            return ask_again(request)
        with form:
            decision = Decision(given["outcome"], given["reason"], note=given["note"], strike=given["strike"])
            closed = cases.close(case, caller(request), decision)
            outcome = in_words(closed.get_outcome_display())
            sentence = gettext("Case {number} is closed: {outcome}.")
            messages.success(request, sentence.format(number=number, outcome=outcome))
            return redirect(_next(request))
    return _page(request, case, decide=form)


def _form(case: Case, request: HttpRequest | None = None) -> Decide:
    names = {outcome.value: outcomes.confirmation(case, outcome) for outcome in outcomes.possible(case)}
    return Decide(
        request.POST if request else None,
        outcomes=outcomes.possible(case),
        names={outcome: name for outcome, name in names.items() if name},
    )


def panel(request: HttpRequest, case: Case, **tried: Any) -> dict[str, Any]:
    """Return the context of the panel that shows a case."""
    facts = dossier.of_case(case)
    return {
        "case": case,
        "facts": facts,
        "row": queue.with_facts([case])[0],
        "decide": tried.get("decide") or _form(case),
        "note": tried.get("note") or Note(),
        "is_mine": case.claimed_by is not None and case.claimed_by == caller(request).user,
        "kept": request.GET.urlencode(),
    }


def _page(request: HttpRequest, case: Case, **tried: Any) -> HttpResponse:
    status = max((form.status for form in tried.values()), default=200)
    context = {**panel(request, case, **tried), "tab": "queue"}
    return render(request, "site/moderation/case.html", context, status=status)


def _back(request: HttpRequest, case: Case) -> HttpResponse:
    return redirect(f"{reverse('moderation')}?case={case.pk}")


def _next(request: HttpRequest) -> str:
    """Return the address of the queue with its first waiting case open."""
    first = queue.matching(caller(request), Query()).values_list("pk", flat=True).first()
    return f"{reverse('moderation')}?case={first}" if first else reverse("moderation")
