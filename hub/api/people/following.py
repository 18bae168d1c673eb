"""Base models that the caller follows."""

from rest_framework.request import Request

from dovetail.answers.record import Answer, Page
from hub.api import pages
from hub.api.records import operation
from hub.api.views import View
from registry.repos import bases
from registry.talk import social


class FollowedBase(Answer):
    base: str
    following: bool


class FollowedBases(View):
    @operation("followed_bases")
    def get(self, request: Request) -> Page[FollowedBase]:
        """Base models you follow."""
        pages.parameters(request, pages.Nothing)
        rows = social.followed_bases(self.person())
        return pages.page(request, [FollowedBase(base=row.base, following=True) for row in rows])


class AskedBase(View):
    @operation("ask_for_base")
    def put(self, request: Request, base: str) -> FollowedBase:
        """Ask the administrators for a base model, and follow it."""
        pages.parameters(request, pages.Nothing)
        pages.body(request)
        return FollowedBase(base=social.ask_for_base(base, self.caller), following=True)


class OneFollowedBase(View):
    @operation("follows_base")
    def get(self, request: Request, base: str) -> FollowedBase:
        """Whether you follow it."""
        pages.parameters(request, pages.Nothing)
        self.person()
        name = bases.canonical_name(base)
        return FollowedBase(base=name, following=social.follows_base(self.caller, name))

    @operation("follow_base")
    def put(self, request: Request, base: str) -> FollowedBase:
        """Follow a base model."""
        pages.parameters(request, pages.Nothing)
        pages.body(request)
        return FollowedBase(base=social.follow_base(base, self.caller), following=True)

    @operation("unfollow_base")
    def delete(self, request: Request, base: str) -> FollowedBase:
        """Stop following it."""
        pages.parameters(request, pages.Nothing)
        return FollowedBase(base=social.unfollow_base(base, self.caller), following=False)
