"""Likes, and the people, organisations and base models that the caller follows, in our REST; and their own profile."""

from datetime import datetime

from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, Page, RepositoryType, Time
from features.community import verbs
from hub.api import pages
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation, text_of
from hub.api.views import View
from registry.kernel import policy
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.models import Repository, User
from registry.people import accounts
from registry.repos import bases, lookup


class ProfileChange(s.Serializer[Data]):
    """The fields to change; a missing one stays as it is."""

    full_name = Text(required=False, allow_blank=True, max_length=200)
    bio = Text(required=False, allow_blank=True, max_length=500)
    links = s.ListField(child=Text(max_length=200), required=False, help_text="at most five, each with https")


class Profile(Answer):
    """The public profile of a person."""

    name: str
    full_name: str
    bio: str
    links: tuple[str, ...]


class Liked(Answer):
    adapter: str
    liked: bool
    likes: int


class Liker(Answer):
    name: str
    full_name: str
    at: Time


class LikedRepository(Answer):
    name: str
    type: RepositoryType
    at: Time


class FollowedOwner(Answer):
    """A person or an organisation."""

    name: str
    following: bool


class OwnProfile(View):
    @operation("profile")
    def get(self, request: Request) -> Profile:
        """Your profile."""
        pages.parameters(request, pages.Nothing)
        return _profile(self.person())

    @operation("change_profile", body=ProfileChange, example={"bio": "Adapters for reviews"})
    def patch(self, request: Request) -> Profile:
        """Change your profile."""
        pages.parameters(request, pages.Nothing)
        user = policy.require_person(self.caller, "change a profile", publishes=False)
        accounts.set_profile(user, by=user, **pages.body(request, ProfileChange))
        return _profile(user)


def _profile(user: User) -> Profile:
    return of_row(Profile, user, name=user.username, links=tuple(user.links))


class _OfAdapter(View):
    def adapter(self, ns: str, name: str) -> Repository:
        return lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.BROWSE)


class OneLike(_OfAdapter):
    @operation("likes_adapter")
    def get(self, request: Request, ns: str, name: str) -> Liked:
        """Whether you like it."""
        pages.parameters(request, pages.Nothing)
        repository = self.adapter(ns, name)
        self.person()
        return self.liked(repository, verbs.likes(self.caller, repository))

    @operation("like")
    def put(self, request: Request, ns: str, name: str) -> Liked:
        """Like it."""
        pages.parameters(request, pages.Nothing)
        repository = self.adapter(ns, name)
        pages.body(request)
        verbs.like(repository, self.caller)
        return self.liked(repository, True)

    @operation("unlike")
    def delete(self, request: Request, ns: str, name: str) -> Liked:
        """Take your like back."""
        pages.parameters(request, pages.Nothing)
        repository = self.adapter(ns, name)
        verbs.unlike(repository, self.caller)
        return self.liked(repository, False)

    def liked(self, repository: Repository, is_liked: bool) -> Liked:
        return Liked(adapter=repository.full_name, liked=is_liked, likes=repository.likes)


class Likers(_OfAdapter):
    @operation("likers", query=pages.Paging, callers="anyone")
    def get(self, request: Request, ns: str, name: str) -> Page[Liker]:
        """The people who like it, newest first."""
        asked = pages.parameters(request, pages.Paging)
        rows = verbs.likers(self.adapter(ns, name))
        page = cursors.newest_first(rows, cursors.row_id(asked.get("cursor", "")), asked["limit"])
        return pages.page(request, [_liker(row.user, row.created_at) for row in page.items], page.next)


def _liker(user: User, at: datetime) -> Liker:
    return Liker(name=user.username, full_name=user.full_name, at=text_of(at))


class OwnLikes(View):
    @operation("own_likes", query=pages.Paging)
    def get(self, request: Request) -> Page[LikedRepository]:
        """Your likes, newest first."""
        asked = pages.parameters(request, pages.Paging)
        rows = verbs.liked(self.person(), self.caller)
        page = cursors.newest_first(rows, cursors.row_id(asked.get("cursor", "")), asked["limit"])
        lines = [
            LikedRepository(name=row.repository.full_name, type=row.repository.type, at=text_of(row.created_at))
            for row in page.items
        ]
        return pages.page(request, lines, page.next)


class FollowedOwners(View):
    @operation("following", query=pages.Paging)
    def get(self, request: Request) -> Page[FollowedOwner]:
        """People and organisations you follow, newest first."""
        asked = pages.parameters(request, pages.Paging)
        rows = verbs.following(self.person())
        page = cursors.newest_first(rows, cursors.row_id(asked.get("cursor", "")), asked["limit"])
        lines = [FollowedOwner(name=row.namespace.name, following=True) for row in page.items]
        return pages.page(request, lines, page.next)


class OneFollowedOwner(View):
    @operation("follows_owner")
    def get(self, request: Request, ns: str) -> FollowedOwner:
        """Whether you follow a person or an organisation."""
        pages.parameters(request, pages.Nothing)
        self.person()
        namespace = accounts.get_namespace(ns)
        return FollowedOwner(name=namespace.name, following=verbs.follows(self.caller, namespace))

    @operation("follow_owner")
    def put(self, request: Request, ns: str) -> FollowedOwner:
        """Follow a person or an organisation."""
        pages.parameters(request, pages.Nothing)
        policy.require_person(self.caller, "follow somebody")
        pages.body(request)
        namespace = accounts.get_namespace(ns)
        verbs.follow(namespace, self.caller)
        return FollowedOwner(name=namespace.name, following=True)

    @operation("unfollow_owner")
    def delete(self, request: Request, ns: str) -> FollowedOwner:
        """Stop following them."""
        pages.parameters(request, pages.Nothing)
        policy.require_person(self.caller, "stop following somebody", publishes=False)
        namespace = accounts.get_namespace(ns)
        verbs.unfollow(namespace, self.caller)
        return FollowedOwner(name=namespace.name, following=False)


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


_ADAPTER = "adapters/<str:ns>/<str:name>"
REST = [
    path("me/profile", OwnProfile.as_view(), name="rest-profile"),
    path("me/likes", OwnLikes.as_view(), name="rest-own-likes"),
    path("me/following", FollowedOwners.as_view(), name="rest-following"),
    path("me/following/<str:ns>", OneFollowedOwner.as_view(), name="rest-followed-owner"),
    path(f"{_ADAPTER}/like", OneLike.as_view(), name="rest-like"),
    path(f"{_ADAPTER}/likers", Likers.as_view(), name="rest-likers"),
    path("me/bases", FollowedBases.as_view(), name="rest-followed-bases"),
    path("me/bases/<api_base:base>/asked", AskedBase.as_view(), name="rest-asked-base"),
    path("me/bases/<api_base:base>", OneFollowedBase.as_view(), name="rest-followed-base"),
]
