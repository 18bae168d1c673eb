"""Joining, signing in, and what a person changes about an own account."""

from typing import Any, ClassVar

from django import forms

from hub.site.forms import Form, Named, Refusals, name_field, text_field
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
    fields_of: ClassVar[Refusals] = {NotAllowed: "old", ValueInvalid: "password1"}


class Profile(Form):
    full_name = text_field(
        "Full name", "Shown on your page. May stay empty.", required=False, maxlength=200, autocomplete="name"
    )
    fields_of: ClassVar[Refusals] = {ValueInvalid: "full_name"}


class Address(Form):
    email = text_field("E-mail", "Nobody else sees it.", required=False, widget=forms.EmailInput, autocomplete="email")
    fields_of: ClassVar[Refusals] = {ValueInvalid: "email", NameTaken: "email"}
