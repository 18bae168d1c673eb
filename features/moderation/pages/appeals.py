"""Appeals: moderators list, answer and decide them; owners open them, and see their standing."""

from typing import ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from features.moderation import appeals
from hub.site.forms import Form, Posts, Refusals, text_field
from hub.site.routing import RepositoryAddress
from hub.site.sign_in.sessions import for_moderators
from hub.site.visitor import caller, person
from hub.site.words import in_words
from registry.kernel import seams
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Permission
from registry.models import Appeal
from registry.repos import lookup, pull

LISTED = 100

REASON_HELP = _("One sentence, shown to the owner and to those who reported it.")


class Message(Form):
    """A message of an appeal; `internal` counts for moderators alone."""

    text = text_field(_("Message"), widget=forms.Textarea, rows=4, maxlength=10_000)
    internal = forms.BooleanField(label=_("Internal note, which only moderators read"), required=False)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "text"}


class NewAppeal(Form):
    text = text_field(
        _("Why should it be released?"),
        _("A moderator reads it and answers."),
        widget=forms.Textarea,
        rows=5,
        maxlength=10_000,
    )
    revision = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "text"}


class Reasoned(Form):
    """The reason of an act of a moderator."""

    reason = text_field(_("Reason"), REASON_HELP, maxlength=500)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "reason"}


@for_moderators
@require_safe
def listed(request: HttpRequest) -> HttpResponse:
    """List open appeals, the oldest first; `state=all` lists decided ones too."""
    rows = appeals.for_moderators(caller(request))
    show_all = request.GET.get("state") == "all"
    shown = rows.order_by("-pk") if show_all else rows.filter(state=Appeal.State.OPEN)
    context = {"appeals": shown[:LISTED], "show_all": show_all}
    return render(request, "moderation/appeals.html", context)


@for_moderators
@require_safe
def for_moderator(request: HttpRequest, number: int) -> HttpResponse:
    return _page(request, _appeal(request, number))


def _appeal(request: HttpRequest, number: int) -> Appeal:
    return appeals.get_for_moderator(number, caller(request))


def approve(request: HttpRequest, number: int) -> HttpResponse:
    return _decide(request, number, approve=True)


def reject(request: HttpRequest, number: int) -> HttpResponse:
    return _decide(request, number, approve=False)


def _decide(request: HttpRequest, number: int, *, approve: bool) -> HttpResponse:
    appeal = _appeal(request, number)
    form = Reasoned(request.POST)
    if form.is_valid():
        with form:
            decided = appeals.decide(appeal, caller(request), approve=approve, reason=form.cleaned_data["reason"])
            sentence = gettext("Appeal {number} is {state}.")
            messages.success(request, sentence.format(number=number, state=in_words(decided.state)))
            return redirect("moderation-appeal", number)
    return _page(request, appeal, decide=form)


def _page(
    request: HttpRequest, appeal: Appeal, form: Message | None = None, decide: Reasoned | None = None
) -> HttpResponse:
    seams.saw(person(request), "appeal", appeal)
    form, decide = form or Message(), decide or Reasoned()
    context = {"appeal": appeal, "thread": appeals.messages(appeal, with_notes=True), "form": form, "decide": decide}
    return render(request, "moderation/appeal.html", context, status=max(form.status, decide.status))


answer = Posts(_appeal, _page, lambda appeal: redirect("moderation-appeal", appeal.pk)).form(
    "form",
    Message,
    lambda appeal, given, by: appeals.write(appeal, by, given["text"], internal=given["internal"], as_moderator=True),
)


def open_appeal(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Open an appeal against what holds a repository, or one revision of it, back."""
    by = caller(request)
    repository = lookup.find_at_address(address.full_name, by, Permission.READ, type=address.type)
    person(request)  # after it: a stranger must not learn from the sign-in page that something is there
    form = NewAppeal(request.POST)
    if form.is_valid():
        revision = pull.resolve(repository, form.cleaned_data["revision"]) if form.cleaned_data["revision"] else None
        return redirect(appeals.open_appeal(repository, by, form.cleaned_data["text"], revision=revision))
    raise ValueInvalid("The text is too long.", fix="Use at most 10,000 characters.")


@require_safe
def for_owner(request: HttpRequest, number: int) -> HttpResponse:
    """Show one of the visitor's own appeals with its messages."""
    return _thread(request, _own(request, number))


def _own(request: HttpRequest, number: int) -> Appeal:
    person(request)
    return appeals.get_own(number, caller(request))


def _thread(request: HttpRequest, appeal: Appeal, form: Message | None = None) -> HttpResponse:
    row, form = _own(request, appeal.pk), form or Message()  # read again: it may have been closed meanwhile
    seams.saw(person(request), "appeal", row)
    context = {"appeal": row, "thread": appeals.messages(row, with_notes=False), "form": form}
    return render(request, "moderation/own_appeal.html", context, status=form.status)


write = Posts(_own, _thread, redirect).form(
    "form", Message, lambda appeal, given, by: appeals.write(appeal, by, given["text"])
)
