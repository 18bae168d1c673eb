"""The moderators' queue with one case beside it, the decision on one or several, and files that are evidence."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from features.moderation import cases, evidence, queue
from features.moderation.pages.appeals import REASON_HELP
from features.moderation.queue import Query
from hub.identity import is_recent
from hub.site.forms import Form, Posts, Refusals, status_of, text_field
from hub.site.panels import frame_menu
from hub.site.repository.files import readable_text, tensors_of
from hub.site.routing import RepositoryAddress
from hub.site.sign_in.sessions import ask_again, for_moderators
from hub.site.visitor import caller
from hub.site.words import english, in_words
from registry.kernel import site_settings
from registry.kernel.errors import ValueInvalid
from registry.kernel.texts import cursors
from registry.models import Case


class Decide(Form):
    """The decision on a case; an outcome that cannot be undone needs a typed name too."""

    outcome = forms.ChoiceField(label=_("Outcome"), error_messages={"required": _("Choose an outcome.")})
    reason = text_field(_("Reason"), REASON_HELP, maxlength=500)
    note = text_field(_("Note"), _("For moderators only. Optional."), required=False, maxlength=10_000)
    strike = forms.BooleanField(label=_("Issue a strike"), required=False)
    confirm = text_field(_("Type the name"), required=False, maxlength=200, autocapitalize="none", spellcheck="false")
    fields_of: ClassVar[Refusals] = {ValueInvalid: "reason"}
    buttons = ((Case.Outcome.NO_ACTION, _("No action")), (Case.Outcome.HELD_VERSION, _("Quarantine the version")))

    def __init__(self, *args: Any, outcomes: Iterable[Case.Outcome], names: dict[str, str], **options: Any) -> None:
        """Offer these outcomes; `names` are the names to type by outcome, for those that cannot be undone."""
        super().__init__(*args, **options)
        field = self.fields["outcome"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("Choose …")), *((outcome.value, _(outcome.label)) for outcome in outcomes)]
        self.usual = [(outcome, deed) for outcome, deed in self.buttons if outcome in dict(field.choices)]
        self.names = names
        typed = _(" or ").join(f"`{name}`" for name in dict.fromkeys(names.values()))
        self.fields["confirm"].help_text = _("Only to take down or to suspend: {names}.").format(names=typed)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        needed = self.names.get(cleaned.get("outcome", ""), "")
        if needed and (cleaned.get("confirm") or "").strip() != needed:
            self.add_error(
                "confirm",
                _("Nothing has changed. This cannot be undone: type `{name}` to confirm.").format(name=needed),
            )
        return cleaned


class CloseMany(Form):
    """One decision for several cases; nothing that cannot be undone."""

    case = forms.TypedMultipleChoiceField(coerce=int, error_messages={"required": _("Select the cases to close.")})
    outcome = forms.ChoiceField(
        choices=[
            (Case.Outcome.NO_ACTION.value, _("No action")),
            (Case.Outcome.WARNED.value, _("Warned")),
            (Case.Outcome.HELD_VERSION.value, _("Version quarantined")),
            (Case.Outcome.HELD.value, _("Quarantined")),
        ]
    )
    reason = text_field(_("Reason for all"), REASON_HELP, maxlength=500)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "reason"}

    def __init__(self, *args: Any, numbers: Iterable[int] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["case"]
        assert isinstance(field, forms.TypedMultipleChoiceField)
        field.choices = [(number, str(number)) for number in numbers]


class SaveView(Form):
    """A name for the filters of the queue."""

    name = text_field(_("Name"), maxlength=60)
    query = forms.CharField(required=False, max_length=4000, widget=forms.HiddenInput)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "name"}


class Note(Form):
    text = text_field(_("Note"), _("For moderators only."), widget=forms.Textarea, rows=2, maxlength=10_000)
    fields_of: ClassVar[Refusals] = {ValueInvalid: "text"}


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
    "sort": [("", _("most severe first")), ("oldest", _("oldest first"))],
}


@for_moderators
@require_safe
def listed(request: HttpRequest) -> HttpResponse:
    """List the cases of the filter in the address.

    /moderation itself leads to the first page of those who look after the hub, if that is another one.
    """
    number = cursors.parse_row_number(request.GET.get("case", ""))
    if number:  # as links of earlier releases name a case
        return redirect("case", number)
    first = frame_menu(request, "moderation")[0].address
    if not request.GET and request.path == reverse("moderation") and first != reverse("cases"):
        return redirect(first)
    return render(request, "moderation/queue.html", _list(request))


def _list(request: HttpRequest) -> dict[str, object]:
    """Return the context of the list, whose filter and page are in the address."""
    query = _query(request)
    number = min(max(cursors.parse_row_number(request.GET.get("page", "")), 1), 1000)
    start = (number - 1) * PAGE
    rows = list(queue.matching(caller(request), query)[start : start + PAGE + 1])
    kept = urlencode({name: value for name, value in asdict(query).items() if value})
    return {
        "rows": queue.with_facts(rows[:PAGE]),
        "text": query.q,
        "filters": [(name, options, str(getattr(query, name) or "")) for name, options in CHOICES.items()],
        "kept": kept,
        "place": urlencode({name: value for name, value in request.GET.items() if name in (*queue.FILTERS, "page")}),
        "views": queue.list_views(caller(request)),
        "hours": site_settings.get_setting("case_hours"),
        "page": number,
        "more": len(rows) > PAGE,
        "bulk": CloseMany(auto_id="bulk_%s"),
    }


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


def close_many(request: HttpRequest) -> HttpResponse:
    """Close the ticked cases with one decision, and say which could not be closed."""
    numbers = [cursors.parse_row_number(value) for value in request.POST.getlist("case")][: cases.MAX_AT_ONCE]
    form = CloseMany(request.POST, numbers=numbers)
    if not form.is_valid():
        messages.error(request, form.all_errors)
        return redirect("cases")
    if _needs_second_look(request):
        labels = Case.objects.filter(pk__in=numbers).order_by("pk").values_list("label", flat=True)
        return _second_look(request, list(labels), form)
    decision = cases.Decision(form.cleaned_data["outcome"], form.cleaned_data["reason"])
    closed, refused = cases.close_many(form.cleaned_data["case"], caller(request), decision)
    sentence = ngettext("{count} case closed.", "{count} cases closed.", len(closed))
    messages.success(request, sentence.format(count=len(closed)))
    for number, reason in refused:
        sentence = format_html(gettext("Case {number}: {reason}"), number=number, reason=english(reason))
        messages.error(request, sentence)
    return redirect(f"{reverse('cases')}?{request.GET.urlencode()}".rstrip("?"))


def save_view(request: HttpRequest) -> HttpResponse:
    """Keep the filters of the list under a name."""
    form = SaveView(request.POST)
    if form.is_valid():
        with form:
            view = queue.save_view(caller(request), form.cleaned_data["name"], form.cleaned_data["query"])
            return redirect(f"{reverse('cases')}?{view.query}")
    messages.error(request, form.all_errors)
    return redirect("cases")


def remove_view(request: HttpRequest, number: int) -> HttpResponse:
    queue.remove_view(caller(request), number)
    return redirect("cases")


@for_moderators
@require_safe
def show_case(request: HttpRequest, number: int) -> HttpResponse:
    """Show one case beside the list: the evidence, and below it the decision."""
    return _page(request, _case(request, number))


def close(request: HttpRequest, number: int) -> HttpResponse:
    """Decide a case, and go on with the next one of the queue."""
    case = _case(request, number)
    form = _form(case, request)
    if form.is_valid():
        given = form.cleaned_data
        if cases.DEEDS[given["outcome"]].is_final and not is_recent(request):
            return ask_again(request)
        if _needs_second_look(request):
            return _second_look(request, [case.label], form)
        with form:
            decision = cases.Decision(given["outcome"], given["reason"], note=given["note"], strike=given["strike"])
            closed = cases.close(case, caller(request), decision)
            outcome = in_words(closed.get_outcome_display())
            sentence = gettext("Case {number} is closed: {outcome}.")
            messages.success(request, sentence.format(number=number, outcome=outcome))
            return redirect(_next(request))
    return _page(request, case, decide=form)


def _needs_second_look(request: HttpRequest) -> bool:
    """Return whether a decision takes whole repositories away that nobody has looked at twice."""
    given = request.POST
    return given.get("outcome") == Case.Outcome.HELD and bool(given.get("reason", "").strip()) and "sure" not in given


def _second_look(request: HttpRequest, labels: list[str], form: Form) -> HttpResponse:
    """Ask whether the whole of each is meant; what was typed is sent again with the answer."""
    given = [(name, value) for name in form.fields for value in request.POST.getlist(name)]
    context = {"labels": labels, "given": given, "reason": form.cleaned_data["reason"]}
    return render(request, "moderation/second_look.html", context)


def _case(request: HttpRequest, number: int) -> Case:
    return cases.get_case(number, caller(request))


def _form(case: Case, request: HttpRequest | None = None) -> Decide:
    names = {outcome.value: cases.confirmation(case, outcome) for outcome in cases.possible(case)}
    return Decide(
        request.POST if request else None,
        outcomes=cases.possible(case),
        names={outcome: name for outcome, name in names.items() if name},
    )


def _page(request: HttpRequest, case: Case, **tried: Form) -> HttpResponse:
    context = {
        **_list(request),
        "case": case,
        "facts": queue.dossier_of(case),
        "row": queue.with_facts([case])[0],
        "decide": tried.get("decide") or _form(case),
        "note": tried.get("note") or Note(),
        "is_mine": case.claimed_by is not None and case.claimed_by == caller(request).user,
    }
    return render(request, "moderation/case.html", context, status=status_of(tried))


CASE = Posts(_case, _page, lambda case: redirect("case", case.pk))
claim = CASE.button(lambda case, by: cases.claim(case, by))
give_back = CASE.button(lambda case, by: cases.give_back(case, by))
note = CASE.form("note", Note, lambda case, given, by: cases.add_note(case, by, given["text"]))


def _next(request: HttpRequest) -> str:
    """Return the address of the queue with its first waiting case open."""
    first = queue.matching(caller(request), Query()).values_list("pk", flat=True).first()
    return reverse("case", args=[first]) if first else reverse("cases")


@for_moderators
@require_safe
def look(request: HttpRequest, address: RepositoryAddress, rev: str, path: str) -> HttpResponse:
    """Show the text or the tensors of one file; nothing in it is ever run or rendered."""
    revision, entry = evidence.look(address.full_name, rev, path, caller(request), type=address.type)
    tensors = tensors_of(entry)
    context = {
        "repository": revision.repository,
        "revision": revision,
        "entry": entry,
        "tensors": tensors,
        "text": readable_text(entry) if tensors is None else None,
    }
    return render(request, "moderation/evidence.html", context)
