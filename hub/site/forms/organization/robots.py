"""Making a robot of an organisation, and a token of one."""

from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Form, Option, Refusals, choice_field, name_field, text_field
from registry.kernel.errors import NameInvalid, NameTaken, RegistryError, ValueInvalid


class NewRobot(Form):
    name = name_field(_("Name"), _("What it is for, in a word."), maxlength=40, placeholder="deploy")
    purpose = text_field(_("Purpose"), _("May stay empty."), required=False, maxlength=200)

    def field_of(self, refusal: RegistryError) -> str | None:
        return "purpose" if "purpose" in refusal.detail else "name"


class NewRobotToken(Form):
    name = text_field(_("Name"), _("Where it is used."), maxlength=100, placeholder=_("nightly build"))
    patterns = text_field(
        _("Repositories"), widget=forms.Textarea, rows=3, spellcheck="false", autocapitalize="none", maxlength=8000
    )
    right = choice_field(
        _("What it may do there"),
        [
            ("read", Option("read", _("Pull, private ones included."))),
            ("write", Option("write", _("Push, too."))),
            ("create", Option("create", _("Also create a repository of such a name."))),
        ],
        "read",
    )
    expires = forms.DateField(
        label=_("Ends on"),
        help_text=_("Within a year."),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={
            "invalid": _("This is not a date. Write it as 2027-01-31."),
            "required": _("The token of a robot must end. Choose a day within the next year."),
        },
    )
    fields_of: ClassVar[Refusals] = {NameTaken: "name", NameInvalid: "patterns"}

    def __init__(self, *args: Any, organization: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["patterns"].help_text = f"One a line: `{organization}/reviews`, `{organization}/nightly-*`."
        self.fields["patterns"].widget.attrs["placeholder"] = f"{organization}/nightly-*"
        today = date.today()
        limits = {"min": today + timedelta(days=1), "max": today + timedelta(days=365)}
        self.fields["expires"].widget.attrs |= {name: day.isoformat() for name, day in limits.items()}
        self.fields["expires"].initial = today + timedelta(days=90)

    def clean_expires(self) -> datetime:
        """Return the end of the day that was typed."""
        end = datetime.combine(self.cleaned_data["expires"], time.max.replace(microsecond=0))
        return timezone.make_aware(end)

    def grants(self) -> dict[str, str]:
        """Return the right on each line."""
        lines = filter(None, map(str.strip, self.cleaned_data["patterns"].splitlines()))
        return dict.fromkeys(lines, self.cleaned_data["right"] or "read")

    def field_of(self, refusal: RegistryError) -> str | None:
        if isinstance(refusal, ValueInvalid):
            if "must end" in refusal.detail:
                return "expires"
            return "name" if "name of" in refusal.detail else "patterns"
        return super().field_of(refusal)
