"""Every route of our REST, version 1."""

from django.urls import path, re_path, register_converter
from django.urls.converters import StringConverter

import features
from hub.api import account, adapters, bases, lifecycle, organizations, revisions, site, verdicts
from hub.api.views import NoSuchRoute


class Revision(StringConverter):
    """A revision, whose name may hold slashes (refs/pr/1): as short as the rest of the route allows."""

    regex = ".+?"


class BaseName(StringConverter):
    """The name of a base, with a namespace or without one."""

    regex = "[^/]+(?:/[^/]+)?"


register_converter(Revision, "api_revision")
register_converter(BaseName, "api_base")
ADAPTER = "adapters/<str:ns>/<str:name>"
REVISION = f"{ADAPTER}/revisions/<api_revision:rev>"

urlpatterns = [
    # First: the name of a revision, with which routes below end, may hold slashes.
    *(route for routes in features.parts("REST", list, "rest") for route in routes),
    path("adapters", adapters.Adapters.as_view(), name="rest-adapters"),
    path(ADAPTER, adapters.OneAdapter.as_view(), name="rest-adapter"),
    path(f"{ADAPTER}/downloads", adapters.DownloadsByDay.as_view(), name="rest-downloads"),
    path(f"{ADAPTER}/revisions", revisions.Revisions.as_view(), name="rest-revisions"),
    path(f"{REVISION}/files/<path:path>", revisions.OneFile.as_view(), name="rest-file"),
    path(f"{REVISION}/verdict", verdicts.OneVerdict.as_view(), name="rest-verdict"),
    path(f"{REVISION}/lock", revisions.OneLock.as_view(), name="rest-lock"),
    path(f"{REVISION}/validate", verdicts.Validate.as_view(), name="rest-validate"),
    path(f"{REVISION}/regression-override", verdicts.OneOverride.as_view(), name="rest-regression-override"),
    path(REVISION, revisions.OneRevision.as_view(), name="rest-revision"),
    path(f"{ADAPTER}/yank", lifecycle.Yank.as_view(), name="rest-yank"),
    path(f"{ADAPTER}/unyank", lifecycle.Unyank.as_view(), name="rest-unyank"),
    path(f"{ADAPTER}/deprecation", lifecycle.Deprecation.as_view(), name="rest-deprecation"),
    path(f"{ADAPTER}/archive", lifecycle.Archive.as_view(), name="rest-archive"),
    path(f"{ADAPTER}/aliases", lifecycle.Aliases.as_view(), name="rest-aliases"),
    path(f"{ADAPTER}/aliases/<str:alias>", lifecycle.OneAlias.as_view(), name="rest-alias"),
    path(f"{ADAPTER}/aliases/<str:alias>/history", lifecycle.History.as_view(), name="rest-alias-history"),
    path(f"{ADAPTER}/aliases/<str:alias>/rollback", lifecycle.Rollback.as_view(), name="rest-alias-rollback"),
    path("bases", bases.Bases.as_view(), name="rest-bases"),
    path("search", site.Search.as_view(), name="rest-search"),
    path("lookup", adapters.Lookup.as_view(), name="rest-lookup"),
    path("bases/<api_base:base>/adapters", bases.Adapters.as_view(), name="rest-base-adapters"),
    path("bases/<api_base:base>", bases.OneBase.as_view(), name="rest-base"),
    path("changes", site.Changes.as_view(), name="rest-changes"),
    path("me", account.Me.as_view(), name="rest-me"),
    path("me/usage", account.OwnUsage.as_view(), name="rest-own-usage"),
    path("me/tokens", account.Tokens.as_view(asks_for_proof=True), name="rest-tokens"),
    path("me/tokens/<int:id>", account.OneToken.as_view(), name="rest-token"),
    path("me/sessions", account.Sessions.as_view(), name="rest-sessions"),
    path("me/sessions/<int:id>", account.OneSession.as_view(), name="rest-session"),
    path("me/invitations", organizations.OwnInvitations.as_view(), name="rest-own-invitations"),
    path("me/invitations/<str:org>/accept", organizations.Accept.as_view(), name="rest-accept-invitation"),
    path("me/invitations/<str:org>/decline", organizations.Decline.as_view(), name="rest-decline-invitation"),
    path("organizations", organizations.Organizations.as_view(), name="rest-organizations"),
    path(
        "organizations/<str:org>", organizations.OneOrganization.as_view(asks_for_proof=True), name="rest-organization"
    ),
    path("organizations/<str:org>/usage", organizations.Usage.as_view(), name="rest-organization-usage"),
    path("organizations/<str:org>/members", organizations.Members.as_view(), name="rest-members"),
    path(
        "organizations/<str:org>/members/<str:user>",
        organizations.OneMember.as_view(asks_for_proof=True),
        name="rest-member",
    ),
    path("organizations/<str:org>/invitations", organizations.Invitations.as_view(), name="rest-invitations"),
    path(
        "organizations/<str:org>/invitations/<str:user>",
        organizations.OneInvitation.as_view(asks_for_proof=True),
        name="rest-invitation",
    ),
    path("site", site.Site.as_view(), name="rest-site"),
    re_path("", NoSuchRoute.as_view()),
]
