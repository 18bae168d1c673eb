"""Base models that the caller follows, in our REST."""

from django.urls import path
from rest_framework.request import Request

from dovetail.answers.record import Answer, Page
from features.community import verbs
from hub.api import pages
from hub.api.records import operation
from hub.api.views import View
from registry.repos import bases


class FollowedBase(Answer):
    base: str
    following: bool


class FollowedBases(View):
    @operation("followed_bases")
    def get(self, request: Request) -> Page[FollowedBase]:
        """Base models you follow."""
        pages.parameters(request, pages.Nothing)
        rows = verbs.followed_bases(self.person())
        return pages.page(request, [FollowedBase(base=row.base, following=True) for row in rows])


class AskedBase(View):
    @operation("ask_for_base")
    def put(self, request: Request, base: str) -> FollowedBase:
        """Ask the administrators for a base model, and follow it."""
        pages.parameters(request, pages.Nothing)
        pages.body(request)
        return FollowedBase(base=verbs.ask_for_base(base, self.caller), following=True)


class OneFollowedBase(View):
    @operation("follows_base")
    def get(self, request: Request, base: str) -> FollowedBase:
        """Return whether you follow it."""
        pages.parameters(request, pages.Nothing)
        self.person()
        name = bases.canonical_name(base)
        return FollowedBase(base=name, following=verbs.follows_base(self.caller, name))

    @operation("follow_base")
    def put(self, request: Request, base: str) -> FollowedBase:
        """Follow a base model."""
        pages.parameters(request, pages.Nothing)
        pages.body(request)
        return FollowedBase(base=verbs.follow_base(base, self.caller), following=True)

    @operation("unfollow_base")
    def delete(self, request: Request, base: str) -> FollowedBase:
        """Stop following it."""
        pages.parameters(request, pages.Nothing)
        return FollowedBase(base=verbs.unfollow_base(base, self.caller), following=False)


REST = [
    path("me/bases", FollowedBases.as_view(), name="rest-followed-bases"),
    path("me/bases/<api_base:base>/asked", AskedBase.as_view(), name="rest-asked-base"),
    path("me/bases/<api_base:base>", OneFollowedBase.as_view(), name="rest-followed-base"),
]
