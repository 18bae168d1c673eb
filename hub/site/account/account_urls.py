"""Routes of a person's own account: allauth's views where it has them, under the names by which it links them."""

from functools import partial

from allauth.account import views as account_views
from allauth.mfa.base import views as factor_views
from allauth.mfa.recovery_codes import views as code_views
from allauth.mfa.totp import views as app_views
from allauth.mfa.webauthn import views as passkey_views
from django.urls import URLPattern, register_converter
from django.urls.converters import StringConverter
from django.views.decorators.http import require_http_methods, require_safe

from hub.passwords import needs_passwords
from hub.site.account import credentials, profile
from hub.site.refusals import View
from hub.site.routing import at
from hub.site.routing import forms as posts
from hub.site.sign_in import password_sign_in, registration
from hub.site.sign_in.sessions import for_administrators
from hub.site.sign_in.sessions import needs_recent_authentication as recent


class Base36Converter(StringConverter):
    """The id of a person in the link of a letter, which a hyphen ends."""

    regex = "[0-9a-z]+"


register_converter(Base36Converter, "base36")


def form(route: str, view: View, name: str) -> URLPattern:
    """Return the route of a page of allauth that shows a form and takes it; allauth itself would take PUT too."""
    return at(route, require_http_methods(["GET", "POST"])(view), name)


def result(route: str, view: View, name: str) -> URLPattern:
    """Return the route of a page of allauth that only shows something."""
    return at(route, require_safe(view), name)


factor = partial(recent, to_read=True)  # pages of a second factor show its secret, or begin what their form ends
SECURITY = "settings/security"
CODES = f"{SECURITY}/recovery-codes"

SIGNING_IN = [
    at("join", registration.join, "join"),
    at("join", registration.join, "account_signup"),
    at("login", password_sign_in.sign_in, "login"),
    at("login", password_sign_in.sign_in, "account_login"),
    *posts(
        "home",
        "",
        ("logout", password_sign_in.sign_out, "logout"),
        ("logout", password_sign_in.sign_out, "account_logout"),
    ),
    at("login/once/<str:key>", password_sign_in.sign_in_once, "sign-in-once"),
    form("login/second-factor", factor_views.authenticate, "mfa_authenticate"),
    form("login/passkey", needs_passwords(passkey_views.login_webauthn), "mfa_login_webauthn"),
    form("password/reset", needs_passwords(account_views.password_reset), "account_reset_password"),
    result("password/reset/sent", account_views.password_reset_done, "account_reset_password_done"),
    result(
        "password/reset/changed", account_views.password_reset_from_key_done, "account_reset_password_from_key_done"
    ),
    form(
        "password/reset/<base36:uidb36>-<str:key>",
        needs_passwords(account_views.password_reset_from_key),
        "account_reset_password_from_key",
    ),
    form("settings/account/address/confirm/<str:key>", account_views.confirm_email, "account_confirm_email"),
]

SECOND_FACTORS = [
    at(SECURITY, credentials.security_page, "security"),
    at(SECURITY, credentials.security_page, "mfa_index"),
    at(SECURITY, credentials.security_page, "mfa_list_webauthn"),
    form(f"{SECURITY}/confirm", account_views.reauthenticate, "account_reauthenticate"),
    at(f"{SECURITY}/confirm/provider", password_sign_in.confirm, "confirm-by-provider"),
    form(f"{SECURITY}/confirm/code", factor_views.reauthenticate, "mfa_reauthenticate"),
    form(f"{SECURITY}/confirm/passkey", passkey_views.reauthenticate_webauthn, "mfa_reauthenticate_webauthn"),
    form(f"{SECURITY}/app", factor(app_views.activate_totp), "mfa_activate_totp"),
    form(f"{SECURITY}/app/remove", factor(app_views.deactivate_totp), "mfa_deactivate_totp"),
    form(f"{SECURITY}/passkeys/add", factor(passkey_views.add_webauthn), "mfa_add_webauthn"),
    form(f"{SECURITY}/passkeys/<int:pk>/rename", factor(passkey_views.edit_webauthn), "mfa_edit_webauthn"),
    form(f"{SECURITY}/passkeys/<int:pk>/remove", factor(passkey_views.remove_webauthn), "mfa_remove_webauthn"),
    result(CODES, factor(code_views.view_recovery_codes), "mfa_view_recovery_codes"),
    form(f"{CODES}/new", factor(code_views.generate_recovery_codes), "mfa_generate_recovery_codes"),
]

SESSIONS = posts(
    "security",
    f"{SECURITY}/sessions",
    ("<int:number>/end", credentials.end_session, "end-session"),
    ("end-others", credentials.end_other_sessions, "end-other-sessions"),
)

ACCOUNT = [
    at("settings/account", profile.account, "account"),
    *posts(
        "account",
        "settings/account",
        ("delete", recent(profile.delete_account), "delete-account"),
    ),
    *posts(
        "account",
        "settings/account/address",
        ("", recent(profile.change_address), "change-address"),
        ("resend", profile.resend_link, "resend-link"),
    ),
]

PROFILE = posts(
    "profile",
    "settings/profile",
    ("picture", profile.set_picture, "set-picture"),
    ("picture/remove", profile.remove_picture, "remove-picture"),
)

JOIN_LINKS = [
    at("settings/invitations", for_administrators(recent(registration.join_links_page)), "join-links"),
    *posts("join-links", "settings/invitations", ("<int:number>/revoke", registration.revoke_link, "revoke-join-link")),
]

urlpatterns = [*SIGNING_IN, *SECOND_FACTORS, *SESSIONS, *ACCOUNT, *PROFILE, *JOIN_LINKS]
