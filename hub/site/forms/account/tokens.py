"""Making an access token, with the repositories that a fine-grained one is for; and letting a program sign in."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar

from django import forms
from django.forms import BoundField
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Form, Option, Refusals, choice_field, text_field
from registry.kernel.errors import NameTaken, RegistryError, ValueInvalid
from registry.models import Token

RIGHTS = [("read", "read"), ("write", "write")]


class NewToken(Form):
    name = text_field(_("Name"), _("Where it is used."), maxlength=100, placeholder="laptop")
    role = choice_field(
        _("What it may do"),
        [
            ("write", Option("write", _("Push, and pull what you may see. What most people need."))),
            ("read", Option("read", _("Pull only, private adapters of yours included. For servers."))),
            (
                "fine-grained",
                Option("fine-grained", _("Only the repositories chosen below. For servers and scripts.")),
            ),
        ],
        "write",
    )
    other = forms.CharField(required=False, max_length=200)
    other_right = forms.ChoiceField(required=False, choices=RIGHTS)
    expires = forms.DateField(
        label=_("Ends on"),
        required=False,
        help_text=_("May stay empty."),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": _("This is not a date. Write it as 2027-01-31, or leave it empty.")},
    )
    fields_of: ClassVar[Refusals] = {NameTaken: "name"}

    def __init__(self, *args: Any, repositories: list[str], **options: Any) -> None:
        """Offer these repositories to a fine-grained token, each with a field of its own."""
        super().__init__(*args, **options)
        self.repositories = repositories
        for full_name in repositories:
            self.fields[f"grant:{full_name}"] = forms.ChoiceField(
                label=full_name, required=False, choices=[("", "nothing"), *RIGHTS]
            )
        self.fields["other"].widget.attrs |= {
            "aria-label": "Another repository",
            "placeholder": "another one: acme/router, or acme/reviews-*",
            "autocomplete": "off",
        }
        self.fields["other_right"].widget.attrs["aria-label"] = "Right on the other repository"
        self.fields["expires"].widget.attrs["min"] = (date.today() + timedelta(days=1)).isoformat()

    def grant_fields(self) -> Iterator[BoundField]:
        for full_name in self.repositories:
            yield self[f"grant:{full_name}"]

    def clean_expires(self) -> datetime | None:
        """Return the end of the day that was typed, None for a token without an end."""
        day = self.cleaned_data["expires"]
        if day is None:
            return None
        end = timezone.make_aware(datetime.combine(day, time.max.replace(microsecond=0)))
        if end <= timezone.now():
            raise forms.ValidationError(
                _("{day} is in the past. Choose a later day, or leave it empty.").format(day=day)
            )
        return end

    def clean(self) -> dict[str, Any]:
        """Read the chosen repositories: one field for each that is offered, and one for a name typed by hand."""
        cleaned = super().clean() or self.cleaned_data
        grants = {name: cleaned.get(f"grant:{name}") for name in self.repositories}
        if other := cleaned.get("other"):
            grants[other] = cleaned.get("other_right") or "read"
        is_fine_grained = cleaned.get("role") == Token.Role.FINE_GRAINED
        cleaned["grants"] = {name: right for name, right in grants.items() if right} if is_fine_grained else {}
        if is_fine_grained and not cleaned["grants"]:
            raise forms.ValidationError(_("No repository is chosen. Choose read or write for one at least."))
        return cleaned

    def field_of(self, refusal: RegistryError) -> str | None:
        if isinstance(refusal, ValueInvalid) and "name of" in refusal.detail:
            return "name"
        return super().field_of(refusal)


class DeviceCode(Form):
    code = text_field(
        _("Code"),
        _("As `hf auth login` shows it."),
        maxlength=20, placeholder="BCDF-GHJK", autocapitalize="characters", spellcheck="false",
    )  # fmt: skip

    def field_of(self, refusal: RegistryError) -> str | None:
        return "code"


class DeviceAnswer(Form):
    code = forms.CharField(widget=forms.HiddenInput)
    role = choice_field(
        _("What it may do"),
        [
            ("write", Option("write", _("Push, and pull what you may see."))),
            ("read", Option("read", _("Pull only."))),
        ],
        "write",
    )
