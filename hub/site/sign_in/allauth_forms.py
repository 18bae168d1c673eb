"""allauth's forms of passwords and second factors, drawn and worded as the website's own."""

from typing import TYPE_CHECKING, Any

from allauth.account import forms as account_forms
from allauth.mfa.base import forms as code_forms
from allauth.mfa.totp import forms as app_forms
from allauth.mfa.webauthn import forms as passkey_forms
from django import forms
from django.utils.translation import gettext_lazy as _

from hub.site.forms import Renderer
from hub.site.sign_in.password_sign_in import PASSWORD_HELP
from registry.kernel.texts import names

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

CODE_HELP = _("Six digits from your authenticator app, or one of your recovery codes.")


class Drawn:
    """Draws a form of allauth as hub.site.forms.Form is drawn, with labels and help of our own."""

    default_renderer = Renderer
    error_css_class = "wrong"
    words: "dict[str, tuple[StrOrPromise, StrOrPromise]]" = {}  # noqa: RUF012  # read only: field → label, help

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("auto_id", "%s")
        options.setdefault("label_suffix", "")
        super().__init__(*args, **options)
        for name, (label, help_text) in self.words.items():
            field: forms.Field = self.fields[name]  # type: ignore[attr-defined]  # of the form it is mixed into
            field.label, field.help_text = label, help_text
            field.widget.attrs.pop("placeholder", None)


class Reauthenticate(Drawn, account_forms.ReauthenticateForm):  # type: ignore[misc]  # allauth has no types
    words = {"password": (_("Your password"), "")}  # noqa: RUF012  # as above


class ResetPassword(Drawn, account_forms.ResetPasswordForm):  # type: ignore[misc]  # allauth has no types
    words = {"email": (_("E-mail"), _("The address of your account."))}  # noqa: RUF012  # as above


class NewPassword(Drawn, account_forms.ResetPasswordKeyForm):  # type: ignore[misc]  # allauth has no types
    words = {  # noqa: RUF012  # as above
        "password1": (_("New password"), PASSWORD_HELP),
        "password2": (_("New password again"), ""),
    }


class SecondFactor(Drawn, code_forms.AuthenticateForm):  # type: ignore[misc]  # allauth has no types
    words = {"code": (_("Code"), CODE_HELP)}  # noqa: RUF012  # as above


class ReauthenticateByCode(Drawn, code_forms.ReauthenticateForm):  # type: ignore[misc]  # allauth has no types
    words = {"code": (_("Code"), CODE_HELP)}  # noqa: RUF012  # as above


class AddApp(Drawn, app_forms.ActivateTOTPForm):  # type: ignore[misc]  # allauth has no types
    words = {"code": (_("Code"), _("The six digits that the app shows now."))}  # noqa: RUF012  # as above


class AddPasskey(Drawn, passkey_forms.AddWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    words = {  # noqa: RUF012  # as above
        "name": (_("Name"), _("Where it is kept: laptop, telephone, key.")),
        "passwordless": (
            _("Sign in with it alone"),
            _("Without user name and password. It asks for a PIN or biometrics."),
        ),
    }

    def clean_credential(self) -> Any:
        """Refuse what no column can hold; allauth checks the rest."""
        credential = self.cleaned_data["credential"]
        if not names.is_storable(credential):
            raise forms.ValidationError(_("The answer of the passkey cannot be read. Try again."))
        return credential


class RenamePasskey(Drawn, passkey_forms.EditWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    words = {"name": (_("Name"), "")}  # noqa: RUF012  # as above
