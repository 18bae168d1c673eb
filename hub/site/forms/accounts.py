"""Joining, signing in, and what a person changes about an own account."""

from typing import Any, ClassVar

from django import forms

from hub.site.forms import Form, Named, Option, Refusals, choice_field, name_field, text_field
from hub.site.forms.organizations import ROLES
from registry.kernel.errors import NameTaken, NotAllowed, RegistryError, ValueInvalid

PASSWORD_HELP = "At least 12 characters. A sentence is a good one."  # noqa: S105  # a help text


def new_password(label: str, help_text: str = "") -> forms.CharField:
    field: forms.CharField = text_field(
        label, help_text, widget=forms.PasswordInput, autocomplete="new-password", minlength=12
    )
    return field


class TwoPasswords(Form):
    """A form with a new password, typed twice."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("password1") != cleaned.get("password2"):
            self.add_error("password2", "The two passwords differ.")
        return cleaned


class Join(Named, TwoPasswords):
    named_by = "username"
    invitation = forms.CharField(required=False, max_length=100, widget=forms.HiddenInput)
    username = name_field(
        "User name",
        "The first part of your adapters' names. Letters, digits, `-` `_` `.`",
        autocomplete="username",
    )
    email = text_field("E-mail", widget=forms.EmailInput, autocomplete="email")
    password1 = new_password("Password", PASSWORD_HELP)
    password2 = new_password("The same password again")

    def field_of(self, refusal: RegistryError) -> str | None:
        """Tell the fields apart by the refusal's sentence: those of password and e-mail have the same type."""
        for word, field in (("password", "password1"), ("mail", "email")):
            if word in refusal.detail.lower():
                return field
        return "username"


class SignIn(Form):
    username = name_field("User name", autocomplete="username")
    password = text_field("Password", widget=forms.PasswordInput, autocomplete="current-password")


class ChangePassword(TwoPasswords):
    old = text_field("Current password", widget=forms.PasswordInput, autocomplete="current-password")
    password1 = new_password("New password", PASSWORD_HELP)
    password2 = new_password("New password again")
    revoke_tokens = forms.BooleanField(required=False, label="Revoke my access tokens too")
    fields_of: ClassVar[Refusals] = {NotAllowed: "old", ValueInvalid: "password1"}


class Profile(Form):
    full_name = text_field(
        "Full name", "Shown on your page. May stay empty.", required=False, maxlength=200, autocomplete="name"
    )
    bio = text_field("About you", "One or two sentences.", required=False, maxlength=500, widget=forms.Textarea, rows=3)
    links = text_field(
        "Links", "One address a line, each with https. At most five.", required=False, widget=forms.Textarea, rows=3
    )

    def clean_links(self) -> list[str]:
        return [line.strip() for line in str(self.cleaned_data["links"]).splitlines() if line.strip()]

    def field_of(self, refusal: RegistryError) -> str | None:
        """Tell the fields apart by the refusal's sentence: all have the same type."""
        return next(
            (field for word, field in (("link", "links"), ("bio", "bio")) if word in refusal.detail), "full_name"
        )


class Picture(Form):
    picture = forms.FileField(
        label="Picture",
        help_text="PNG, JPEG or WebP, at most 2 MB. It is cut to a square.",
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
        error_messages={"required": "Choose a picture first."},
    )
    fields_of: ClassVar[Refusals] = {ValueInvalid: "picture"}


class Leave(Form):
    confirm = name_field("Your user name", "Type it to delete your account.")
    with_repositories = forms.BooleanField(required=False, label="Delete my repositories too")

    def __init__(self, *args: Any, name: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.name = name

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"].strip()
        if typed != self.name:
            raise forms.ValidationError(f"Nothing was deleted. Type your name, `{self.name}`, to delete the account.")
        return typed


class NewJoinLink(Form):
    uses = forms.IntegerField(label="People", help_text="How many may join by it.", initial=1)
    days = forms.IntegerField(label="Days", help_text="How long it works.", initial=7)
    email = text_field(
        "Send it to", "May stay empty: then you pass the link on.", required=False, widget=forms.EmailInput
    )
    note = text_field("Note", "For yourself and the other administrators.", required=False, maxlength=200)


class NewOrganizationLink(NewJoinLink):
    role = choice_field("Role", [(role, Option(role, f"{note}.")) for role, note in ROLES], "read")
    field_order = ("role", "uses", "days", "email", "note")


class Address(Form):
    email = text_field("E-mail", "Nobody else sees it.", required=False, widget=forms.EmailInput, autocomplete="email")
    fields_of: ClassVar[Refusals] = {ValueInvalid: "email", NameTaken: "email"}
