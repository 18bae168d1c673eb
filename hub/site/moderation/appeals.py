"""Appeals as moderators see them: the list, one with its thread and notes, and the decision."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from hub.site.administration.staff import for_moderators
from hub.site.forms.cases import Message, Reasoned
from hub.site.visitor import caller, person
from hub.site.words import in_words
from registry.kernel import seams
from registry.models import Appeal
from registry.moderation.strikes import appeals

LISTED = 100


@for_moderators
@require_safe
def listed(request: HttpRequest) -> HttpResponse:
    """List open appeals, the oldest first; `state=all` lists decided ones too."""
    rows = appeals.for_moderators(caller(request))
    show_all = request.GET.get("state") == "all"
    shown = rows.order_by("-pk") if show_all else rows.filter(state=Appeal.State.OPEN)
    context = {"appeals": shown[:LISTED], "show_all": show_all, "tab": "appeals"}
    return render(request, "site/moderation/appeals.html", context)


@for_moderators
@require_safe
def one(request: HttpRequest, number: int) -> HttpResponse:
    return _page(request, appeals.get_for_moderator(number, caller(request)), Message(), Reasoned())


@for_moderators
@require_POST
def write(request: HttpRequest, number: int) -> HttpResponse:
    """Answer the owner, or note something that only moderators read."""
    appeal = appeals.get_for_moderator(number, caller(request))
    form = Message(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        with form:
            appeals.write(appeal, caller(request), given["text"], internal=given["internal"], as_moderator=True)
            return redirect("moderation-appeal", number)
    return _page(request, appeal, form, Reasoned())


@for_moderators
@require_POST
def approve(request: HttpRequest, number: int) -> HttpResponse:
    return _decide(request, number, approve=True)


@for_moderators
@require_POST
def reject(request: HttpRequest, number: int) -> HttpResponse:
    return _decide(request, number, approve=False)


def _decide(request: HttpRequest, number: int, *, approve: bool) -> HttpResponse:
    appeal = appeals.get_for_moderator(number, caller(request))
    form = Reasoned(request.POST)
    if form.is_valid():
        with form:
            decided = appeals.decide(appeal, caller(request), approve=approve, reason=form.cleaned_data["reason"])
            sentence = gettext("Appeal {number} is {state}.")
            messages.success(request, sentence.format(number=number, state=in_words(decided.state)))
            return redirect("moderation-appeal", number)
    return _page(request, appeal, Message(), form)


def _page(request: HttpRequest, appeal: Appeal, form: Message, decide: Reasoned) -> HttpResponse:
    seams.saw(person(request), "appeal", appeal)
    context = {
        "appeal": appeal,
        "thread": appeals.messages(appeal, with_notes=True),
        "form": form,
        "decide": decide,
        "tab": "appeals",
    }
    return render(request, "site/moderation/appeal.html", context, status=max(form.status, decide.status))
