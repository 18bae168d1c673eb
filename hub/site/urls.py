"""The website's routes, each with a name; they come last of all, because a person may have almost any name."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.urls import URLPattern, path, register_converter

from hub.site import (
    account,
    adapter,
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
    organizations,
    password,
    profile,
    repairs,
    repository,
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


REPOSITORIES = [
    at("<repository:address>", adapter.repository, "repository"),
    at("<repository:address>/like", sharing.like, "like"),
    at("<repository:address>/likers", sharing.likers, "likers"),
    at("<repository:address>/repair", repairs.repair, "repair"),
    at("<repository:address>/ask-access", gates.ask, "ask-access"),
    at("<repository:address>/access", gates.access, "access"),
    at("<repository:address>/settings", repository.settings, "repository-settings"),
    at("<repository:address>/discussions", discussions.listed, "discussions"),
    at("<repository:address>/discussions/new", discussions.new, "new-discussion"),
    at("<repository:address>/discussions/<int:number>", discussions.one, "discussion"),
    at("<repository:address>/discussions/<int:number>/files", discussions.files, "discussion-files"),
    at("<repository:address>/tree/<str:rev>", files.tree, "tree"),
    at("<repository:address>/tree/<str:rev>/<path:path>", files.tree, "tree"),
    at("<repository:address>/blob/<str:rev>/<path:path>", files.blob, "blob"),
    at("<repository:address>/commits/<str:rev>", commits.commits, "commits"),
    at("<repository:address>/commit/<str:rev>", commits.commit, "commit"),
    at("<repository:address>/verdict/<str:rev>", verdict.verdict, "verdict"),
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
    at("collections", collections.listed, "collections"),
    at("collections/new", collections.new, "new-collection"),
    at("collections/<str:ns>/<str:slug>", collections.one, "collection"),
    at("join", account.join, "join"),
    at("login", account.sign_in, "login"),
    at("login/device", device.device, "device"),
    at("logout", account.sign_out, "logout"),
    at("new", new.new, "new-repository"),
    at("organizations/new", organizations.new, "new-organization"),
    at("organizations/<str:ns>/settings", organizations.settings, "organization-settings"),
    at("stats/changes", changes.changes, "changes"),
    at("settings", settings.index, "settings"),
    at("settings/profile", profile.profile, "profile"),
    at("settings/notifications", alerts.notifications, "notifications"),
    at("settings/password", password.password, "password"),
    at("settings/organizations", organizations.listed, "organizations"),
    at("settings/following/<str:ns>", sharing.follow, "follow"),
    at("settings/webhooks", webhooks.listed, "webhooks"),
    at("settings/webhooks/<int:number>", webhooks.one, "webhook"),
    at("settings/webhooks/<int:number>/change", webhooks.change, "change-webhook"),
    at("settings/webhooks/<int:number>/deliveries/<int:delivery>/again", webhooks.redeliver, "redeliver"),
    at("settings/tokens", tokens.listed, "tokens"),
    at("settings/tokens/<int:token_id>/revoke", tokens.revoke, "revoke-token"),
    path("robots.txt", robots.robots, name="robots"),
    *REPOSITORIES,
    at("<str:ns>", namespace.namespace, "namespace"),
]
