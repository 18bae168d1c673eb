"""People and organisations as clients ask for them: overviews, members, likes, repositories with sizes, and gates."""

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from hub.addresses import absolute
from hub.answers import answer
from hub.hf import bodies, shapes
from hub.hf.bodies import paged
from hub.hf.dialect import Route
from hub.hf.shapes import JSON
from registry.kernel import policy
from registry.kernel.errors import NamespaceNotFound, SignInRequired, ValueInvalid
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.models import AccessRequest, Follow, Like, Membership, Namespace, Organization, Repository, User
from registry.people import accounts, gates
from registry.people.organizations import organizations
from registry.talk import social


def avatar(request: HttpRequest, name: str) -> str:
    """Return the address of somebody's picture, which the website draws."""
    return absolute(request, reverse("avatar", args=[name]))


def user(request: HttpRequest, person: User) -> JSON:
    """A person in a list."""
    return {
        "_id": cursors.format_hub_id(person.pk),
        "user": person.username,
        "fullname": person.full_name or person.username,
        "avatarUrl": avatar(request, person.username),
        "isPro": False,
        "type": "user",
    }


def organization(request: HttpRequest, row: Organization) -> JSON:
    """An organisation in a list."""
    name = row.namespace.name
    return {
        "_id": cursors.format_hub_id(row.pk),
        "name": name,
        "fullname": row.full_name or name,
        "avatarUrl": avatar(request, name),
        "type": "org",
    }


class Asked(Route):
    """A route about one person or organisation."""

    kind = Namespace.Kind.PERSON

    def namespace(self, name: str) -> Namespace:
        """Return the namespace of the address. Raises NamespaceNotFound, also for one of the other kind."""
        namespace = accounts.resolve_namespace(name)
        gone = namespace.kind == Namespace.Kind.PERSON and not namespace.person.is_active
        if namespace.kind != self.kind or gone:
            raise NamespaceNotFound(f"There is no {self.kind.label.lower()} {name[:96]!r}.")
        return namespace

    def repositories(self, namespace: Namespace) -> JSON:
        """Return how many repositories of each type the caller sees there."""
        rows = Repository.objects.filter(policy.listed_to(self.caller), namespace=namespace)
        kinds = {"numModels": "model", "numDatasets": "dataset", "numSpaces": "space"}
        return rows.aggregate(**{key: Count("pk", filter=Q(type=kind)) for key, kind in kinds.items()})


class OfAnOrganization(Asked):
    kind = Namespace.Kind.ORGANIZATION


class UserOverview(Asked):
    """GET /api/users/{u}/overview"""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        namespace = self.namespace(name)
        person = namespace.person
        rows = Membership.objects.filter(user=person).select_related("organization__namespace").order_by("pk")
        fields = user(request, person) | self.repositories(namespace)
        fields |= {
            "numLikes": social.liked_count(person, self.caller),
            "numFollowers": social.followers(namespace).count(),
            "numFollowing": social.following(person).count(),
            "isFollowing": social.follows(self.caller, namespace),
            "createdAt": shapes.moment(person.created_at),
            "orgs": [_plain(organization(request, row.organization)) for row in rows],
        }
        return answer(fields)


class OrganizationOverview(OfAnOrganization):
    """GET /api/organizations/{o}/overview"""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        namespace = self.namespace(name)
        fields = organization(request, namespace.organization) | self.repositories(namespace)
        fields |= {
            "isVerified": False,
            "numUsers": namespace.organization.memberships.filter(user__is_active=True).count(),
            "numFollowers": social.followers(namespace).count(),
            "isFollowing": social.follows(self.caller, namespace),
        }
        return answer(_plain(fields))


class Members(OfAnOrganization):
    """GET /api/organizations/{o}/members"""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        rows = self.namespace(name).organization.memberships.filter(user__is_active=True).select_related("user")
        return paged(request, rows, lambda row: user(request, row.user))


class Followers(Asked):
    """GET /api/users/{u}/followers"""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        rows = social.followers(self.namespace(name))
        return paged(request, rows, lambda row: user(request, row.follower))


class OrganizationFollowers(Followers):
    """GET /api/organizations/{o}/followers"""

    kind = Namespace.Kind.ORGANIZATION


class Following(Asked):
    """GET /api/users/{u}/following: clients expect people, no organisations"""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        rows = social.following(self.namespace(name).person).filter(namespace__person__is_active=True)

        def shape(row: Follow) -> JSON:
            return user(request, row.namespace.person)

        return paged(request, rows, shape)


class FollowUser(Asked):
    """POST and DELETE /api/users/{u}/follow"""

    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        self._require_somebody()
        social.follow(self.namespace(name), self.caller)
        return answer({"isFollowing": True})

    def delete(self, request: HttpRequest, name: str) -> HttpResponse:
        self._require_somebody()
        social.unfollow(self.namespace(name), self.caller)
        return answer({"isFollowing": False})

    def _require_somebody(self) -> None:
        policy.require_person(self.caller, "follow somebody")


class FollowOrganization(FollowUser):
    """POST and DELETE /api/organizations/{o}/follow"""

    kind = Namespace.Kind.ORGANIZATION


class Likes(Asked):
    """GET /api/users/{u}/likes"""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        def shape(row: Like) -> JSON:
            repo = {"name": row.repository.full_name, "type": row.repository.type}
            return {"createdAt": shapes.moment(row.created_at), "repo": repo}

        return paged(request, social.liked(self.namespace(name).person, self.caller), shape)


class Repositories(Route):
    """GET /api/settings/repositories: the caller's own, with what they take up"""

    def get(self, request: HttpRequest) -> HttpResponse:
        if self.caller.user is None:
            raise SignInRequired("A list of your repositories needs a token.")
        return _repositories(request, self, self.caller.user.namespace)


class OrganizationRepositories(Route):
    """GET /api/organizations/{o}/settings/repositories: for its members"""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        return _repositories(request, self, organizations.namespace_of_member(name, self.caller))


def _repositories(request: HttpRequest, route: Route, namespace: Namespace) -> HttpResponse:
    rows = Repository.objects.filter(policy.listed_to(route.caller), namespace=namespace).select_related("namespace")

    def shape(repository: Repository) -> JSON:
        return {
            "id": repository.full_name,
            "type": repository.type,
            "updatedAt": shapes.moment(repository.updated_at),
            "visibility": "private" if repository.private else "public",
            "storage": repository.size,
        }

    return paged(request, rows, shape)


def _plain(fields: JSON) -> JSON:
    """An organisation without `_id`, as the Hub gives it."""
    return {key: value for key, value in fields.items() if key != "_id"}


class OneLike(Route):
    """POST and DELETE /api/models/{id}/like"""

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name)
        social.like(repository, self.caller)
        return answer({"likes": repository.likes})

    def delete(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name)
        social.unlike(repository, self.caller)
        return answer({"likes": repository.likes})


class Likers(Route):
    """GET /api/models/{id}/likers"""

    def get(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        return paged(request, social.likers(self.repository(ns, name)), lambda row: user(request, row.user))


class Requests(Route):
    """GET /api/models/{id}/user-access-request/{pending|accepted|rejected}"""

    def get(self, request: HttpRequest, ns: str, name: str, status: str) -> HttpResponse:
        rows = gates.list_requests(self.repository(ns, name, Permission.ARCHIVE), status, self.caller)
        return paged(request, rows, lambda row: shown(request, row))


class Handle(Route):
    """POST /api/models/{id}/user-access-request/handle"""

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.ARCHIVE)
        body = bodies.json_object(request)
        username, request_id = bodies.text(body, "user", ""), bodies.text(body, "requestId", "")
        if bool(username) == bool(request_id):
            raise ValueInvalid("A decision names the person or the request.", fix="Send 'user' or 'requestId'.")
        row = gates.decide_request(
            repository,
            bodies.text(body, "status"),
            self.caller,
            username=username,
            request_id=cursors.parse_hub_id(request_id),
            reason=bodies.text(body, "rejectionReason", ""),
        )
        return answer(shown(request, row))


class Grant(Route):
    """POST /api/models/{id}/user-access-request/grant"""

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.ARCHIVE)
        row = gates.grant_access(repository, bodies.text(bodies.json_object(request), "user"), self.caller)
        return answer(shown(request, row))


def shown(request: HttpRequest, row: AccessRequest) -> JSON:
    """Return a request as JSON, with the e-mail address of the person only if they asked themselves."""
    person = user(request, row.user)
    if row.asked and row.user.email:
        person["email"] = row.user.email
    fields: JSON = {
        "requestId": cursors.format_hub_id(row.pk),
        "status": row.status,
        "timestamp": shapes.moment(row.at),
        "user": person,
        "fields": {"text": row.text} if row.text else {},
    }
    if row.decided_by is not None:
        fields["grantedBy" if row.status == AccessRequest.Status.ACCEPTED else "decidedBy"] = {
            "user": row.decided_by.username
        }
    if row.reason:
        fields["rejectionReason"] = row.reason
    return fields
