"""The hub's answers to allauth: how a client is counted, how letters go out, who may sign in, how secrets are kept."""

import base64
import hashlib
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from allauth.account import forms as account_forms
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress
from allauth.core import context as allauth_context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base import forms as code_forms
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as app_forms
from allauth.mfa.webauthn import forms as passkey_forms
from allauth.usersessions.internal.flows.sessions import end_other_sessions
from cryptography.fernet import Fernet, MultiFernet
from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub.addresses import address_of
from hub.identity import browser_name, is_recent
from hub.site.forms import Renderer
from hub.site.sign_in import password_sign_in
from hub.site.sign_in.password_sign_in import PASSWORD_HELP
from registry.kernel import audit, outbox
from registry.kernel.errors import NotAllowed, TooOften
from registry.kernel.outbox import Kind
from registry.kernel.texts import names
from registry.kernel.texts.phrases import absolute
from registry.models import User
from registry.people import accounts, profiles, sign_ins
from registry.talk import letters

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# The messages of allauth that people see, in the hub's words; all others are left out.
SENTENCES = {
    "account/messages/email_confirmed.txt": _("Your e-mail address is confirmed."),
    "account/messages/email_confirmation_failed.txt": _("This address belongs to another account."),
    "account/messages/email_confirmation_sent.txt": _("We sent an e-mail with a link to your address."),
    "mfa/messages/totp_activated.txt": _("Authenticator app set up. You are signed out everywhere else."),
    "mfa/messages/totp_deactivated.txt": _("Authenticator app removed."),
    "mfa/messages/webauthn_added.txt": _("Passkey added. You are signed out everywhere else."),
    "mfa/messages/webauthn_removed.txt": _("Passkey removed."),
}
FACTOR_DEEDS = {
    "mfa/email/totp_activated": "account:app-add",
    "mfa/email/totp_deactivated": "account:app-remove",
    "mfa/email/webauthn_added": "account:passkey-add",
    "mfa/email/webauthn_removed": "account:passkey-remove",
    "mfa/email/recovery_codes_generated": "account:recovery-codes",
}
NEW_FACTORS = {"mfa/email/totp_activated": "totp", "mfa/email/webauthn_added": "webauthn"}
UNKNOWN_ADDRESS = "0.0.0.0"  # noqa: S104  # nothing listens there: the peer is a Unix socket


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Accounts are made, count_attempt and written to in the hub's own way."""

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the client's address by the hub's rule for trusted proxies (hub/addresses.py)."""
        address = address_of(request)
        try:
            return str(ip_address(address))
        except ValueError:
            return UNKNOWN_ADDRESS

    def is_reauthentication_required(self, *, app: str, **options: Any) -> bool:
        """Return whether a page of allauth must ask again; signing in counts as a proof here."""
        return not is_recent(allauth_context.request)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Return the person with these credentials. Raises ValidationError while this caller must wait."""
        name = str(credentials.get("username", ""))
        try:
            return password_sign_in.authenticate(request, name, str(credentials.get("password", "")))
        except TooOften as refusal:
            raise self.validation_error("too_many_login_attempts", refusal.facts["seconds"]) from None
        except NotAllowed:
            return None

    def set_password(self, user: User, password: str) -> None:
        accounts.set_password(user, password, by=user)

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Note that an address is proven, in allauth's rows and in the person's own."""
        with profiles.addresses_are_unique(), transaction.atomic():
            if not super().confirm_email(request, email_address):
                return False
            profiles.confirm(email_address.user, email_address.email)
        return True

    def post_login(self, request: HttpRequest, user: User, **options: Any) -> HttpResponse:
        """Log the sign-in with what proved it, and go on to where the person wanted to go."""
        records = get_authentication_records(request, user)
        methods = [str(record.get("type") or record["method"]) for record in records]
        sign_ins.record(user, methods, browser=browser_name(request.headers.get("User-Agent", "")))
        answer: HttpResponse = super().post_login(request, user, **options)
        return answer

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        messages.error(request, gettext("This account is suspended. Write to the moderators of this hub."))
        return redirect("login")

    def add_message(
        self, request: HttpRequest, level: int, message_template: str = "", *args: Any, message: str = "", **more: Any
    ) -> None:
        """Show one of the hub's own sentences where there is one."""
        if sentence := str(message or SENTENCES.get(message_template, "")):
            messages.add_message(request, level, sentence)

    # --- letters -------------------------------------------------------------------------------------------------
    def send_mail(self, template_prefix: str, email: str, context: Mapping[str, Any]) -> None:
        """Write one letter from its two templates and hand it to the workers."""
        pages = {
            "hub": settings.PUBLIC_URL,
            "security_page": absolute(reverse("security")),
            "reset_page": absolute(reverse("account_reset_password")),
        }
        values = {**context, **pages, "email": email}
        subject = render_to_string(f"{template_prefix}_subject.txt", values)
        text = render_to_string(f"{template_prefix}_message.txt", values)
        letters.send(email, self.format_email_subject(subject.strip()), f"{text.strip()}\n")

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """Send a notice to the person's address if it is proven; an address of somebody else gets none.

        allauth calls this once for each change of a second factor, so these are logged here.
        """
        if deed := FACTOR_DEEDS.get(template_prefix):
            with transaction.atomic():
                audit.record(user, deed, user.username, about=user)
                outbox.record(Kind.ACCOUNT_CHANGED, None, person=user.pk, change=deed, details="")
        if kind := NEW_FACTORS.get(template_prefix):  # setting a factor up shows that the person has it
            record_authentication(allauth_context.request, user, "mfa", type=kind, reauthenticated=True)
            end_other_sessions(allauth_context.request, user)  # nobody has shown it there
        if email or user.email_verified:
            super().send_notification_mail(template_prefix, user, context, email)

    def send_confirmation_mail(self, request: HttpRequest, emailconfirmation: Any, signup: bool) -> None:
        """Send the link that proves an address; its owner, if somebody has proven it, is told of the attempt."""
        address = emailconfirmation.email_address
        if address.can_set_verified():
            super().send_confirmation_mail(request, emailconfirmation, signup)
        else:
            self.send_mail("account/email/address_in_use", address.email, {"user": address.user})

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        return absolute(reverse("account_confirm_email", args=[emailconfirmation.key]))

    def get_reset_password_from_key_url(self, key: str) -> str:
        uidb36, _, secret = key.partition("-")
        return absolute(reverse("account_reset_password_from_key", kwargs={"uidb36": uidb36, "key": secret}))

    def get_email_verification_redirect_url(self, email_address: EmailAddress) -> str:
        return reverse("account") if self.request.user.is_authenticated else reverse("login")


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Secrets of second factors are encrypted with a key that is made of the hub's secret key."""

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret. Raises InvalidToken if the hub's secret key was changed."""
        return _cipher().decrypt(encrypted_text.encode()).decode()

    def generate_authenticator_name(self, user: User, type: object) -> str:
        count = Authenticator.objects.filter(user=user, type=type).count()
        return f"Passkey {count + 1}" if count else "Passkey"


def _cipher() -> MultiFernet:
    keys = [str(key).encode() for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    digests = [hashlib.sha256(b"dovetail second factors:" + key).digest() for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


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
        "password2": (_("Repeat the new password"), ""),
    }


class SecondFactor(Drawn, code_forms.AuthenticateForm):  # type: ignore[misc]  # allauth has no types
    words = {"code": (_("Code"), CODE_HELP)}  # noqa: RUF012  # as above


class ReauthenticateByCode(Drawn, code_forms.ReauthenticateForm):  # type: ignore[misc]  # allauth has no types
    words = {"code": (_("Code"), CODE_HELP)}  # noqa: RUF012  # as above


class AddApp(Drawn, app_forms.ActivateTOTPForm):  # type: ignore[misc]  # allauth has no types
    words = {"code": (_("Code"), _("The six digits that the app shows now."))}  # noqa: RUF012  # as above


class AddPasskey(Drawn, passkey_forms.AddWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    words = {  # noqa: RUF012  # as above
        "name": (_("Name"), _("Where it is kept: laptop, phone, security key.")),
        "passwordless": (
            _("Sign in with it alone"),
            _("Without user name and password. It asks for a PIN or biometrics."),
        ),
    }

    def clean_credential(self) -> Any:
        """Refuse what no column can hold; allauth checks the rest."""
        credential = self.cleaned_data["credential"]
        if not names.is_storable(credential):
            raise forms.ValidationError(_("The passkey's answer could not be read. Try again."))
        return credential


class RenamePasskey(Drawn, passkey_forms.EditWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    words = {"name": (_("Name"), "")}  # noqa: RUF012  # as above
