"""The website's routes; they come last of all, because a person may have almost any name."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.urls import URLPattern, path

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
from hub.site.refusals import page

Page = Callable[..., HttpResponse]


def at(route: str, view: Page, **given: Any) -> URLPattern:
    """A route whose view may raise the heart's refusals."""
    return path(route, page(view), given)


def of_a_repository(prefix: str, type: str) -> list[URLPattern]:
    """The pages of one repository; the same paths as on the Hub, so that links in clients' messages work."""
    one = f"{prefix}<str:ns>/<str:name>"
    return [
        at(one, adapter.repository, type=type),
        at(f"{one}/like", sharing.like, type=type),
        at(f"{one}/likers", sharing.likers, type=type),
        at(f"{one}/repair", repairs.repair, type=type),
        at(f"{one}/ask-access", gates.ask, type=type),
        at(f"{one}/access", gates.access, type=type),
        at(f"{one}/settings", repository.settings, type=type),
        at(f"{one}/discussions", discussions.listed, type=type),
        at(f"{one}/discussions/new", discussions.new, type=type),
        at(f"{one}/discussions/<int:number>", discussions.one, type=type),
        at(f"{one}/discussions/<int:number>/files", discussions.files, type=type),
        at(f"{one}/tree/<str:rev>", files.tree, type=type),
        at(f"{one}/tree/<str:rev>/<path:path>", files.tree, type=type),
        at(f"{one}/blob/<str:rev>/<path:path>", files.blob, type=type),
        at(f"{one}/commits/<str:rev>", commits.commits, type=type),
        at(f"{one}/commit/<str:rev>", commits.commit, type=type),
        at(f"{one}/verdict/<str:rev>", verdict.verdict, type=type),
    ]


urlpatterns = [
    at("", home.home),
    *(at(place[1:], catalogue.catalogue, type=type) for type, place in catalogue.PATHS.items()),
    at("bases", bases.bases),
    at("bases/<path:name>", bases.base),
    path("docs", docs.index),
    path("docs/<str:name>", docs.one),
    at("avatars/<str:name>.svg", avatars.avatar),
    at("collections", collections.listed),
    at("collections/new", collections.new),
    at("collections/<str:ns>/<str:slug>", collections.one),
    at("join", account.join),
    at("login", account.sign_in),
    at("login/device", device.device),
    at("logout", account.sign_out),
    at("new", new.new),
    at("organizations/new", organizations.new),
    at("organizations/<str:ns>/settings", organizations.settings),
    at("stats/changes", changes.changes),
    at("settings", settings.index),
    at("settings/profile", profile.profile),
    at("settings/notifications", alerts.notifications),
    at("settings/password", password.password),
    at("settings/organizations", organizations.listed),
    at("settings/following/<str:ns>", sharing.follow),
    at("settings/webhooks", webhooks.listed),
    at("settings/webhooks/<int:number>", webhooks.one),
    at("settings/webhooks/<int:number>/change", webhooks.change),
    at("settings/webhooks/<int:number>/deliveries/<int:delivery>/again", webhooks.redeliver),
    at("settings/tokens", tokens.listed),
    at("settings/tokens/<int:token_id>/revoke", tokens.revoke),
    path("robots.txt", robots.robots),
    *of_a_repository("datasets/", "dataset"),
    *of_a_repository("spaces/", "space"),
    *of_a_repository("", "model"),
    at("<str:ns>", namespace.namespace),
]
