"""The website's routes, each with a name; they come last of all, because a person may have almost any name."""

from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.http import require_safe

import features
from hub.list_parameters import ROUTES
from hub.passwords import needs_passwords
from hub.site import documentation, home, panels, verdict
from hub.site.account import account_urls, credentials, profile, storage
from hub.site.catalogue import bases, catalogue, feeds
from hub.site.organization import namespace, organization_settings, organizations
from hub.site.repository import commits, files, repository, repository_settings
from hub.site.routing import at, forms
from hub.site.sign_in import password_sign_in
from hub.site.sign_in.sessions import needs_recent_authentication as recent

REPOSITORY = "<repository:address>"
ORGANIZATION = "organizations/<str:ns>/settings"

REPOSITORIES = [
    at(REPOSITORY, repository.repository, "repository"),
    *forms(
        "repository",
        REPOSITORY,
        ("ask-access", repository_settings.ask, "ask-access"),
    ),
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
        "commit",
        f"{REPOSITORY}/commit/<str:rev>",
        ("yank", commits.yank, "yank"),
        ("unyank", commits.unyank, "unyank"),
    ),
    at(f"{REPOSITORY}/verdict/<str:rev>", verdict.verdict, "verdict"),
    *forms(
        "verdict",
        f"{REPOSITORY}/verdict/<str:rev>",
        ("override", verdict.override, "override-regression"),
        ("withdraw-override", verdict.withdraw_override, "withdraw-override"),
    ),
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
    *account_urls.urlpatterns,
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
