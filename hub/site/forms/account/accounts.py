"""Joining, signing in, and what a person changes about an own account."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Form, Named, Option, Refusals, choice_field, name_field, text_field
from hub.site.forms.organization.organizations import ROLES
from registry.kernel.errors import NameTaken, NotAllowed, RegistryError, ValueInvalid

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

PASSWORD_HELP = _("At least 12 characters. A sentence is a good one.")  # a help text


def new_password(label: "StrOrPromise", help_text: "StrOrPromise" = "") -> forms.CharField:
    field: forms.CharField = text_field(
        label, help_text, widget=forms.PasswordInput, autocomplete="new-password", minlength=12
    )
    return field


class TwoPasswords(Form):
    """A form with a new password, typed twice."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("password1") != cleaned.get("password2"):
            self.add_error("password2", _("The two passwords differ."))
        return cleaned


class Join(Named, TwoPasswords):
    named_by = "username"
    invitation = forms.CharField(required=False, max_length=100, widget=forms.HiddenInput)
    username = name_field(
        _("User name"),
        _("The first part of your adapters' names. Letters, digits, `-` `_` `.`"),
        autocomplete="username",
    )
    email = text_field(_("E-mail"), widget=forms.EmailInput, autocomplete="email")
    password1 = new_password(_("Password"), PASSWORD_HELP)
    password2 = new_password(_("The same password again"))

    def field_of(self, refusal: RegistryError) -> str | None:
        """Tell the fields apart by the refusal's sentence: those of password and e-mail have the same type."""
        for word, field in (("password", "password1"), ("mail", "email")):
            if word in refusal.detail.lower():
                return field
        return "username"


class SignIn(Form):
    username = name_field(_("User name"), autocomplete="username")
    password = text_field(_("Password"), widget=forms.PasswordInput, autocomplete="current-password")


class ChangePassword(TwoPasswords):
    old = text_field(_("Current password"), widget=forms.PasswordInput, autocomplete="current-password")
    password1 = new_password(_("New password"), PASSWORD_HELP)
    password2 = new_password(_("New password again"))
    revoke_tokens = forms.BooleanField(required=False, label=_("Revoke my access tokens too"))
    fields_of: ClassVar[Refusals] = {NotAllowed: "old", ValueInvalid: "password1"}


class Profile(Form):
    full_name = text_field(
        _("Full name"), _("Shown on your page. May stay empty."), required=False, maxlength=200, autocomplete="name"
    )
    bio = text_field(
        _("About you"), _("One or two sentences."), required=False, maxlength=500, widget=forms.Textarea, rows=3
    )
    links = text_field(
        _("Links"),
        _("One address a line, each with https. At most five."),
        required=False,
        widget=forms.Textarea,
        rows=3,
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
        label=_("Picture"),
        help_text=_("PNG, JPEG or WebP, at most 2 MB. It is cut to a square."),
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
        error_messages={"required": _("Choose a picture first.")},
    )
    fields_of: ClassVar[Refusals] = {ValueInvalid: "picture"}


class Leave(Form):
    confirm = name_field(_("Your user name"), _("Type it to delete your account."))
    with_repositories = forms.BooleanField(required=False, label=_("Delete my repositories too"))

    def __init__(self, *args: Any, name: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.name = name

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"].strip()
        if typed != self.name:
            raise forms.ValidationError(
                _("Nothing was deleted. Type your name, `{name}`, to delete the account.").format(name=self.name)
            )
        return typed


class NewJoinLink(Form):
    uses = forms.IntegerField(label=_("People"), help_text=_("How many may join by it."), initial=1)
    days = forms.IntegerField(label=_("Days"), help_text=_("How long it works."), initial=7)
    email = text_field(
        _("Send it to"), _("May stay empty: then you pass the link on."), required=False, widget=forms.EmailInput
    )
    note = text_field(_("Note"), _("For yourself and the other administrators."), required=False, maxlength=200)


class NewOrganizationLink(NewJoinLink):
    role = choice_field(_("Role"), [(role, Option(role, note)) for role, note in ROLES], "read")
    field_order = ("role", "uses", "days", "email", "note")


class Address(Form):
    email = text_field(
        _("E-mail"), _("Nobody else sees it."), required=False, widget=forms.EmailInput, autocomplete="email"
    )
    fields_of: ClassVar[Refusals] = {ValueInvalid: "email", NameTaken: "email"}
