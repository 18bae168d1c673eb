"""The website's routes, each with a name; they come last of all, because a person may have almost any name."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.urls import URLPattern, path, register_converter

from hub.site import (
    account,
    alerts,
    avatars,
    bases,
    catalogue,
    changes,
    collections,
    commits,
    device,
    discussions,
    docs,
    files,
    gates,
    home,
    namespace,
    new,
    organization_settings,
    organizations,
    password,
    profile,
    repairs,
    repository,
    repository_settings,
    robots,
    settings,
    sharing,
    tokens,
    verdict,
    webhooks,
)
from hub.site.converters import RepositoryConverter
from hub.site.refusals import page

View = Callable[..., HttpResponse]

register_converter(RepositoryConverter, "repository")


def at(route: str, view: View, name: str, **options: Any) -> URLPattern:
    """A named route whose view may raise the domain's refusals."""
    return path(route, page(view), options, name=name)


REPOSITORY = "<repository:address>"
DISCUSSION = f"{REPOSITORY}/discussions/<int:number>"
ORGANIZATION = "organizations/<str:ns>/settings"
COLLECTION = "collections/<str:ns>/<str:slug>"
WEBHOOK = "settings/webhooks/<int:number>"

REPOSITORIES = [
    at(REPOSITORY, repository.repository, "repository"),
    at(f"{REPOSITORY}/like", sharing.like, "like"),
    at(f"{REPOSITORY}/unlike", sharing.unlike, "unlike"),
    at(f"{REPOSITORY}/likers", sharing.likers, "likers"),
    at(f"{REPOSITORY}/repair", repairs.repair, "repair"),
    at(f"{REPOSITORY}/ask-access", gates.ask, "ask-access"),
    at(f"{REPOSITORY}/access", gates.access, "access"),
    at(f"{REPOSITORY}/access/gate", gates.set_gate, "set-gate"),
    at(f"{REPOSITORY}/access/grant", gates.grant, "grant-access"),
    at(f"{REPOSITORY}/access/requests/<int:number>/accept", gates.accept, "accept-request"),
    at(f"{REPOSITORY}/access/requests/<int:number>/reject", gates.reject, "reject-request"),
    at(f"{REPOSITORY}/settings", repository_settings.settings, "repository-settings"),
    at(f"{REPOSITORY}/settings/visibility", repository_settings.set_visibility, "set-visibility"),
    at(f"{REPOSITORY}/settings/move", repository_settings.move, "move-repository"),
    at(f"{REPOSITORY}/settings/delete", repository_settings.delete, "delete-repository"),
    at(f"{REPOSITORY}/discussions", discussions.listed, "discussions"),
    at(f"{REPOSITORY}/discussions/new", discussions.new, "new-discussion"),
    at(DISCUSSION, discussions.one, "discussion"),
    at(f"{DISCUSSION}/files", discussions.files, "discussion-files"),
    at(f"{DISCUSSION}/comment", discussions.comment, "comment"),
    at(f"{DISCUSSION}/close", discussions.close, "close-discussion"),
    at(f"{DISCUSSION}/open", discussions.reopen, "open-discussion"),
    at(f"{DISCUSSION}/merge", discussions.merge, "merge"),
    at(f"{DISCUSSION}/rename", discussions.rename, "rename-discussion"),
    at(f"{DISCUSSION}/comments/<int:comment>/edit", discussions.edit, "edit-comment"),
    at(f"{DISCUSSION}/comments/<int:comment>/hide", discussions.hide, "hide-comment"),
    at(f"{REPOSITORY}/tree/<str:rev>", files.tree, "tree"),
    at(f"{REPOSITORY}/tree/<str:rev>/<path:path>", files.tree, "tree"),
    at(f"{REPOSITORY}/blob/<str:rev>/<path:path>", files.blob, "blob"),
    at(f"{REPOSITORY}/commits/<str:rev>", commits.commits, "commits"),
    at(f"{REPOSITORY}/commit/<str:rev>", commits.commit, "commit"),
    at(f"{REPOSITORY}/verdict/<str:rev>", verdict.verdict, "verdict"),
]

SETTINGS = [
    at("settings", settings.index, "settings"),
    at("settings/profile", profile.profile, "profile"),
    at("settings/password", password.password, "password"),
    at("settings/notifications", alerts.notifications, "notifications"),
    at("settings/notifications/read", alerts.read, "read-notifications"),
    at("settings/notifications/mail", alerts.set_mail, "set-mail"),
    at("settings/organizations", organizations.listed, "organizations"),
    at("settings/organizations/<str:ns>/accept", organizations.accept, "accept-invitation"),
    at("settings/organizations/<str:ns>/decline", organizations.decline, "decline-invitation"),
    at("settings/organizations/<str:ns>/leave", organizations.leave, "leave-organization"),
    at("settings/following/<str:ns>", sharing.follow, "follow"),
    at("settings/following/<str:ns>/stop", sharing.unfollow, "unfollow"),
    at("settings/webhooks", webhooks.listed, "webhooks"),
    at(WEBHOOK, webhooks.one, "webhook"),
    at(f"{WEBHOOK}/change", webhooks.change, "change-webhook"),
    at(f"{WEBHOOK}/enable", webhooks.enable, "enable-webhook"),
    at(f"{WEBHOOK}/disable", webhooks.disable, "disable-webhook"),
    at(f"{WEBHOOK}/delete", webhooks.delete, "delete-webhook"),
    at(f"{WEBHOOK}/deliveries/<int:delivery>/again", webhooks.redeliver, "redeliver"),
    at("settings/tokens", tokens.listed, "tokens"),
    at("settings/tokens/<int:token_id>/revoke", tokens.revoke, "revoke-token"),
]

ORGANIZATIONS = [
    at("organizations/new", organizations.new, "new-organization"),
    at(ORGANIZATION, organization_settings.settings, "organization-settings"),
    at(f"{ORGANIZATION}/change", organization_settings.change, "change-organization"),
    at(f"{ORGANIZATION}/role", organization_settings.set_role, "set-role"),
    at(f"{ORGANIZATION}/remove", organization_settings.remove_member, "remove-member"),
    at(f"{ORGANIZATION}/invite", organization_settings.invite, "invite"),
    at(f"{ORGANIZATION}/withdraw", organization_settings.withdraw, "withdraw-invitation"),
    at(f"{ORGANIZATION}/rename", organization_settings.rename, "rename-organization"),
    at(f"{ORGANIZATION}/delete", organization_settings.delete, "delete-organization"),
]

COLLECTIONS = [
    at("collections", collections.listed, "collections"),
    at("collections/new", collections.new, "new-collection"),
    at(COLLECTION, collections.one, "collection"),
    at(f"{COLLECTION}/change", collections.change, "change-collection"),
    at(f"{COLLECTION}/delete", collections.delete, "delete-collection"),
    at(f"{COLLECTION}/add", collections.add, "add-item"),
    at(f"{COLLECTION}/items/<int:item>/note", collections.note, "note-item"),
    at(f"{COLLECTION}/items/<int:item>/top", collections.move_to_top, "move-item-to-top"),
    at(f"{COLLECTION}/items/<int:item>/remove", collections.remove, "remove-item"),
]

urlpatterns = [
    at("", home.home, "home"),
    at("adapters", catalogue.catalogue, "adapters", type="model"),
    at("datasets", catalogue.catalogue, "datasets", type="dataset"),
    at("spaces", catalogue.catalogue, "spaces", type="space"),
    at("bases", bases.bases, "bases"),
    at("bases/<path:name>", bases.base, "base"),
    path("docs", docs.index, name="docs"),
    path("docs/<str:name>", docs.one, name="docs-page"),
    at("avatars/<str:name>.svg", avatars.avatar, "avatar"),
    at("stats/changes", changes.changes, "changes"),
    at("join", account.join, "join"),
    at("login", account.sign_in, "login"),
    at("login/device", device.device, "device"),
    at("login/device/approve", device.approve, "approve-device"),
    at("login/device/deny", device.deny, "deny-device"),
    at("logout", account.sign_out, "logout"),
    at("new", new.new, "new-repository"),
    *ORGANIZATIONS,
    *COLLECTIONS,
    *SETTINGS,
    path("robots.txt", robots.robots, name="robots"),
    *REPOSITORIES,
    at("<str:ns>", namespace.namespace, "namespace"),
]
