"""The website's routes, each with a name; they come last of all, because a person may have almost any name."""

from functools import partial

from allauth.account import views as account_views
from allauth.mfa.base import views as factor_views
from allauth.mfa.recovery_codes import views as code_views
from allauth.mfa.totp import views as app_views
from allauth.mfa.webauthn import views as passkey_views
from django.shortcuts import redirect
from django.urls import URLPattern, path, register_converter
from django.urls.converters import StringConverter
from django.views.decorators.http import require_http_methods, require_safe

import features
from hub.list_parameters import ROUTES
from hub.passwords import needs_passwords
from hub.site import documentation, home, panels, verdict
from hub.site.account import credentials, profile, storage
from hub.site.catalogue import bases, catalogue, feeds
from hub.site.organization import namespace, organization_settings, organizations
from hub.site.refusals import View
from hub.site.repository import commits, files, repository, repository_settings
from hub.site.routing import at, forms
from hub.site.sign_in import password_sign_in, registration
from hub.site.sign_in.sessions import for_administrators
from hub.site.sign_in.sessions import needs_recent_authentication as recent

REPOSITORY = "<repository:address>"
ORGANIZATION = "organizations/<str:ns>/settings"

REPOSITORIES = [
    at(REPOSITORY, repository.repository, "repository"),
    *forms("repository", REPOSITORY, ("ask-access", repository_settings.ask, "ask-access")),
    at(f"{REPOSITORY}/versions.atom", feeds.versions, "versions-feed"),
    at(f"{REPOSITORY}/feed.atom", feeds.versions, "feed"),
    at(f"{REPOSITORY}/security", repository.security, "repository-security"),
    at(f"{REPOSITORY}/access", repository_settings.access, "access"),
    *forms(
        "access",
        f"{REPOSITORY}/access",
        ("gate", repository_settings.set_gate, "set-gate"),
        ("grant", repository_settings.grant, "grant-access"),
        ("requests/<int:number>/accept", repository_settings.accept, "accept-request"),
        ("requests/<int:number>/reject", repository_settings.reject, "reject-request"),
    ),
    at(f"{REPOSITORY}/settings", repository_settings.settings, "repository-settings"),
    *forms(
        "repository-settings",
        f"{REPOSITORY}/settings",
        ("visibility", repository_settings.set_visibility, "set-visibility"),
        ("deprecate", repository_settings.deprecate, "deprecate"),
        ("undeprecate", repository_settings.undeprecate, "undeprecate"),
        ("archive", repository_settings.archive, "archive"),
        ("unarchive", repository_settings.unarchive, "unarchive"),
        ("move", repository_settings.move, "move-repository"),
        ("delete", repository_settings.delete, "delete-repository"),
    ),
    at(f"{REPOSITORY}/tree/<str:rev>", files.tree, "tree"),
    at(f"{REPOSITORY}/tree/<str:rev>/<path:path>", files.tree, "tree"),
    at(f"{REPOSITORY}/blob/<str:rev>/<path:path>", files.blob, "blob"),
    at(f"{REPOSITORY}/commits/<str:rev>", commits.commits, "commits"),
    *forms(
        "commits",
        f"{REPOSITORY}/commits/<str:rev>",
        ("refs/create", commits.create_ref, "create-ref"),
        ("refs/delete", commits.delete_ref, "delete-ref"),
        ("aliases/set", commits.set_alias, "set-alias"),
        ("aliases/<str:alias>/rollback", commits.roll_back, "roll-back-alias"),
        ("aliases/<str:alias>/remove", commits.remove_alias, "remove-alias"),
    ),
    at(f"{REPOSITORY}/commit/<str:rev>", commits.commit, "commit"),
    *forms(
        "commit", f"{REPOSITORY}/commit/<str:rev>", ("yank", commits.yank, "yank"), ("unyank", commits.unyank, "unyank")
    ),
    at(f"{REPOSITORY}/verdict/<str:rev>", verdict.verdict, "verdict"),
    *forms(
        "verdict",
        f"{REPOSITORY}/verdict/<str:rev>",
        ("override", verdict.override, "override-regression"),
        ("withdraw-override", verdict.withdraw_override, "withdraw-override"),
    ),
]


class Base36Converter(StringConverter):
    """The id of a person in the link of a letter, which a hyphen ends."""

    regex = "[0-9a-z]+"


register_converter(Base36Converter, "base36")


def allauth_form(route: str, view: View, name: str) -> URLPattern:
    """Return the route of a page of allauth that shows a form and takes it; allauth itself would take PUT too."""
    return at(route, require_http_methods(["GET", "POST"])(view), name)


def allauth_page(route: str, view: View, name: str) -> URLPattern:
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
    *forms(
        "home",
        "",
        ("logout", password_sign_in.sign_out, "logout"),
        ("logout", password_sign_in.sign_out, "account_logout"),
    ),
    at("login/once/<str:key>", password_sign_in.sign_in_once, "sign-in-once"),
    allauth_form("login/second-factor", factor_views.authenticate, "mfa_authenticate"),
    allauth_form("login/passkey", needs_passwords(passkey_views.login_webauthn), "mfa_login_webauthn"),
    allauth_form("password/reset", needs_passwords(account_views.password_reset), "account_reset_password"),
    allauth_page("password/reset/sent", account_views.password_reset_done, "account_reset_password_done"),
    allauth_page(
        "password/reset/changed", account_views.password_reset_from_key_done, "account_reset_password_from_key_done"
    ),
    allauth_form(
        "password/reset/<base36:uidb36>-<str:key>",
        needs_passwords(account_views.password_reset_from_key),
        "account_reset_password_from_key",
    ),
    allauth_form("settings/account/address/confirm/<str:key>", account_views.confirm_email, "account_confirm_email"),
]

SECOND_FACTORS = [
    at(SECURITY, credentials.security_page, "security"),
    at(SECURITY, credentials.security_page, "mfa_index"),
    at(SECURITY, credentials.security_page, "mfa_list_webauthn"),
    allauth_form(f"{SECURITY}/confirm", account_views.reauthenticate, "account_reauthenticate"),
    at(f"{SECURITY}/confirm/provider", password_sign_in.confirm, "confirm-by-provider"),
    allauth_form(f"{SECURITY}/confirm/code", factor_views.reauthenticate, "mfa_reauthenticate"),
    allauth_form(f"{SECURITY}/confirm/passkey", passkey_views.reauthenticate_webauthn, "mfa_reauthenticate_webauthn"),
    allauth_form(f"{SECURITY}/app", factor(app_views.activate_totp), "mfa_activate_totp"),
    allauth_form(f"{SECURITY}/app/remove", factor(app_views.deactivate_totp), "mfa_deactivate_totp"),
    allauth_form(f"{SECURITY}/passkeys/add", factor(passkey_views.add_webauthn), "mfa_add_webauthn"),
    allauth_form(f"{SECURITY}/passkeys/<int:pk>/rename", factor(passkey_views.edit_webauthn), "mfa_edit_webauthn"),
    allauth_form(f"{SECURITY}/passkeys/<int:pk>/remove", factor(passkey_views.remove_webauthn), "mfa_remove_webauthn"),
    allauth_page(CODES, factor(code_views.view_recovery_codes), "mfa_view_recovery_codes"),
    allauth_form(f"{CODES}/new", factor(code_views.generate_recovery_codes), "mfa_generate_recovery_codes"),
]

SESSIONS = forms(
    "security",
    f"{SECURITY}/sessions",
    ("<int:number>/end", credentials.end_session, "end-session"),
    ("end-others", credentials.end_other_sessions, "end-other-sessions"),
)

ACCOUNT = [
    at("settings/account", profile.account, "account"),
    *forms(
        "account",
        "settings/account",
        ("delete", recent(profile.delete_account), "delete-account"),
    ),
    *forms(
        "account",
        "settings/account/address",
        ("", recent(profile.change_address), "change-address"),
        ("resend", profile.resend_link, "resend-link"),
    ),
]

PROFILE = forms(
    "profile",
    "settings/profile",
    ("picture", profile.set_picture, "set-picture"),
    ("picture/remove", profile.remove_picture, "remove-picture"),
)

JOIN_LINKS = [
    at("settings/invitations", for_administrators(recent(registration.join_links_page)), "join-links"),
    *forms("join-links", "settings/invitations", ("<int:number>/revoke", registration.revoke_link, "revoke-join-link")),
]

SETTINGS = [
    at("settings", require_safe(lambda request: redirect("profile")), "settings"),
    at("settings/profile", profile.profile, "profile"),
    at("settings/password", needs_passwords(password_sign_in.change_password), "password"),
    at("settings/organizations", organizations.listed, "organizations"),
    *forms(
        "organizations",
        "settings/organizations",
        ("<str:ns>/accept", organizations.accept, "accept-invitation"),
        ("<str:ns>/decline", organizations.decline, "decline-invitation"),
        ("<str:ns>/leave", organizations.leave, "leave-organization"),
    ),
    at("settings/usage", storage.own_usage, "usage"),
    at("settings/repositories", storage.deleted, "bin"),
    *forms(
        "bin",
        "settings/repositories",
        ("<int:number>/restore", storage.restore, "restore"),
        ("<int:number>/delete", recent(storage.purge), "purge"),
    ),
    at("settings/tokens", recent(credentials.tokens_page), "tokens"),
    *forms("tokens", "settings/tokens", ("<int:token_id>/revoke", credentials.revoke_token, "revoke-token")),
]

ORGANIZATIONS = [
    at("organizations/new", organizations.new, "new-organization"),
    at(ORGANIZATION, organization_settings.settings, "organization-settings"),
    at(f"{ORGANIZATION}/usage", storage.organization_usage, "organization-usage"),
    at(f"{ORGANIZATION}/details", organization_settings.details, "organization-details"),
    *forms(
        "organization-details",
        f"{ORGANIZATION}/details",
        ("change", organization_settings.change, "change-organization"),
        ("second-factor", recent(organization_settings.require_factor), "require-second-factor"),
        ("rename", organization_settings.rename, "rename-organization"),
        ("delete", organization_settings.delete, "delete-organization"),
    ),
    *forms(
        "organization-settings",
        ORGANIZATION,
        ("role", recent(organization_settings.set_role), "set-role"),
        ("remove", organization_settings.remove_member, "remove-member"),
        ("invite", recent(organization_settings.invite), "invite"),
        ("withdraw", organization_settings.withdraw, "withdraw-invitation"),
    ),
]

panels.mounted[:] = features.parts("PAGES", panels.Pages, "pages")
urlpatterns = [
    at("", home.home, "home"),
    *forms("home", "settings/language", ("", home.choose_language, "set-language")),
    at("adapters", catalogue.catalogue, "adapters", type="model"),
    at("datasets", catalogue.catalogue, "datasets", type="dataset"),
    at("spaces", catalogue.catalogue, "spaces", type="space"),
    at("bases", bases.bases, "bases"),
    path("docs", documentation.docs_index, name="docs"),
    path("docs/<str:name>", documentation.docs_page, name="docs-page"),
    at("search", catalogue.search_page, "search"),
    at("avatars/<str:name>.svg", profile.avatar, "avatar"),
    at("avatars/<str:name>.webp", profile.picture, "picture"),
    *SIGNING_IN,
    *SECOND_FACTORS,
    *SESSIONS,
    *ACCOUNT,
    *PROFILE,
    *JOIN_LINKS,
    *ORGANIZATIONS,
    *SETTINGS,
    at("feeds/new.atom", feeds.search, "newest-feed", type="model"),
    *(at(f"feeds/{name}.atom", feeds.search, f"{name}-feed", type=type) for type, name in ROUTES.items()),
    path(".well-known/security.txt", home.security_contact, name="security-contact"),
    path("favicon.ico", home.icon, name="favicon"),
    *(route for pages in panels.mounted for route in pages.routes),
    at("bases/<path:name>", bases.base, "base"),  # whose name may be any of the features' addresses below it
    *REPOSITORIES,
    at("<str:ns>", namespace.namespace, "namespace"),
]
