"""Likes and follows on the wire, and the overviews of people and organisations, most of which they are."""

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.urls import path

from features.community import verbs
from features.community.models import Like
from hub.answers import answer
from hub.hf import shapes
from hub.hf.account import Asked, avatar, user
from hub.hf.bodies import paged
from hub.hf.dialect import Route
from hub.hf.shapes import JSON
from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.models import Follow, Membership, Namespace, Organization, Repository


class UserOverview(Asked):
    """GET /api/users/{u}/overview"""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        namespace = self.namespace(name)
        person = namespace.person
        rows = Membership.objects.filter(user=person).select_related("organization__namespace").order_by("pk")
        fields = user(request, person) | _repositories(namespace, self.caller)
        fields |= {
            "numLikes": verbs.liked_count(person, self.caller),
            "numFollowers": verbs.followers(namespace).count(),
            "numFollowing": verbs.following(person).count(),
            "isFollowing": verbs.follows(self.caller, namespace),
            "createdAt": shapes.moment(person.created_at),
            "orgs": [_organization(request, row.organization) for row in rows],
        }
        return answer(fields)


class OrganizationOverview(Asked):
    """GET /api/organizations/{o}/overview"""

    kind = Namespace.Kind.ORGANIZATION

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        namespace = self.namespace(name)
        fields = _organization(request, namespace.organization) | _repositories(namespace, self.caller)
        fields |= {
            "isVerified": False,
            "numUsers": namespace.organization.memberships.filter(user__is_active=True).count(),
            "numFollowers": verbs.followers(namespace).count(),
            "isFollowing": verbs.follows(self.caller, namespace),
        }
        return answer(fields)


class Followers(Asked):
    """GET /api/users/{u}/followers, and /api/organizations/{o}/followers"""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        rows = verbs.followers(self.namespace(name))
        return paged(request, rows, lambda row: user(request, row.follower))


class Following(Asked):
    """GET /api/users/{u}/following: clients expect people, no organisations"""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        rows = verbs.following(self.namespace(name).person).filter(namespace__person__is_active=True)

        def shape(row: Follow) -> JSON:
            return user(request, row.namespace.person)

        return paged(request, rows, shape)


class OneFollow(Asked):
    """POST and DELETE /api/users/{u}/follow, and /api/organizations/{o}/follow"""

    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        self._require_somebody()
        verbs.follow(self.namespace(name), self.caller)
        return answer({"isFollowing": True})

    def delete(self, request: HttpRequest, name: str) -> HttpResponse:
        self._require_somebody()
        verbs.unfollow(self.namespace(name), self.caller)
        return answer({"isFollowing": False})

    def _require_somebody(self) -> None:
        policy.require_person(self.caller, "follow somebody")


class Likes(Asked):
    """GET /api/users/{u}/likes"""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        def shape(row: Like) -> JSON:
            repo = {"name": row.repository.full_name, "type": row.repository.type}
            return {"createdAt": shapes.moment(row.created_at), "repo": repo}

        return paged(request, verbs.liked(self.namespace(name).person, self.caller), shape)


class OneLike(Route):
    """POST and DELETE /api/models/{id}/like"""

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name)
        verbs.like(repository, self.caller)
        return answer({"likes": repository.likes})

    def delete(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name)
        verbs.unlike(repository, self.caller)
        return answer({"likes": repository.likes})


class Likers(Route):
    """GET /api/models/{id}/likers"""

    def get(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        return paged(request, verbs.likers(self.repository(ns, name)), lambda row: user(request, row.user))


def _repositories(namespace: Namespace, by: Caller) -> JSON:
    """Return how many repositories of each type the caller sees there."""
    rows = Repository.objects.filter(policy.listed_to(by), namespace=namespace)
    kinds = {"numModels": "model", "numDatasets": "dataset", "numSpaces": "space"}
    return rows.aggregate(**{key: Count("pk", filter=Q(type=kind)) for key, kind in kinds.items()})


def _organization(request: HttpRequest, row: Organization) -> JSON:
    """An organisation, which has no `_id` on the Hub."""
    name = row.namespace.name
    return {
        "name": name,
        "fullname": row.full_name or name,
        "avatarUrl": avatar(request, name),
        "type": "org",
    }


PEOPLE, ORGANIZATIONS = "api/users/<str:name>", "api/organizations/<str:name>"
WIRE = [
    *(
        path(f"api/{type}s/<str:ns>/<str:name>/{tail}", view.as_view(), {"type": type})
        for type in ("model", "dataset", "space")
        for tail, view in (("like", OneLike), ("likers", Likers))
    ),
    path(f"{PEOPLE}/overview", UserOverview.as_view()),
    path(f"{PEOPLE}/followers", Followers.as_view()),
    path(f"{PEOPLE}/following", Following.as_view()),
    path(f"{PEOPLE}/follow", OneFollow.as_view()),
    path(f"{PEOPLE}/likes", Likes.as_view()),
    path(f"{ORGANIZATIONS}/overview", OrganizationOverview.as_view()),
    path(f"{ORGANIZATIONS}/followers", Followers.as_view(kind=Namespace.Kind.ORGANIZATION)),
    path(f"{ORGANIZATIONS}/follow", OneFollow.as_view(kind=Namespace.Kind.ORGANIZATION)),
]
