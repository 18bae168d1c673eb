"""Forms of moderation: reporting something, working on cases, appeals, standings."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from features.moderation import intake
from hub.site.forms import Form, Radios, Refusals, text_field
from registry.kernel.errors import ValueInvalid
from registry.models import Case

REASON_HELP = _("One sentence, shown to the owner and to those who reported it.")


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
