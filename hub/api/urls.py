"""Every route of our REST, version 1."""

from django.urls import path, re_path, register_converter
from django.urls.converters import StringConverter

from hub.api import (
    account,
    adapters,
    bases,
    changes,
    fit,
    moderation,
    notifications,
    openapi,
    organizations,
    repairs,
    revisions,
    verdicts,
)
from hub.api.asking import NoSuchRoute


class Revision(StringConverter):
    """A revision, whose name may hold slashes (refs/pr/1): as short as the rest of the route allows."""

    regex = ".+?"


register_converter(Revision, "api_revision")
ADAPTER = "adapters/<str:ns>/<str:name>"
REVISION = f"{ADAPTER}/revisions/<api_revision:rev>"

urlpatterns = [
    path("adapters", adapters.Adapters.as_view()),
    path(ADAPTER, adapters.OneAdapter.as_view()),
    path(f"{ADAPTER}/revisions", revisions.Revisions.as_view()),
    path(f"{REVISION}/files/<path:path>", revisions.OneFile.as_view()),
    path(f"{REVISION}/verdict", verdicts.OneVerdict.as_view()),
    path(f"{REVISION}/validate", verdicts.Validate.as_view()),
    path(REVISION, revisions.OneRevision.as_view()),
    path(f"{ADAPTER}/repair", repairs.Repair.as_view()),
    path("fit", fit.Fits.as_view()),
    path("bases", bases.Bases.as_view()),
    path("bases/<path:base>", bases.OneBase.as_view()),
    path("changes", changes.Changes.as_view()),
    path("me", account.Me.as_view()),
    path("me/notifications", notifications.Notifications.as_view()),
    path("me/notifications/read", notifications.Read.as_view()),
    path("me/tokens", account.Tokens.as_view()),
    path("me/tokens/<int:id>", account.OneToken.as_view()),
    path("me/invitations", organizations.OwnInvitations.as_view()),
    path("me/invitations/<str:org>/accept", organizations.Accept.as_view()),
    path("me/invitations/<str:org>/decline", organizations.Decline.as_view()),
    path("organizations", organizations.Organizations.as_view()),
    path("organizations/<str:org>", organizations.OneOrganization.as_view()),
    path("organizations/<str:org>/members", organizations.Members.as_view()),
    path("organizations/<str:org>/members/<str:user>", organizations.OneMember.as_view()),
    path("organizations/<str:org>/invitations", organizations.Invitations.as_view()),
    path("organizations/<str:org>/invitations/<str:user>", organizations.OneInvitation.as_view()),
    path("moderation/adapters/<str:ns>/<str:name>/quarantine", moderation.Quarantine.as_view()),
    path("moderation/adapters/<str:ns>/<str:name>/release", moderation.Release.as_view()),
    path("moderation/log", moderation.Log.as_view()),
    path("openapi.json", openapi.openapi, name="openapi"),
    path("docs", openapi.docs, name="api-docs"),
    re_path("", NoSuchRoute.as_view()),
]
