"""People and organisations on the wire: the caller, others, gates, leaked credentials, small routes of clients."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from django.http import HttpRequest, HttpResponse, HttpResponseBase
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
from registry.models import AccessRequest, Membership, Namespace, Repository, User
from registry.people import accounts, gates
from registry.people.organizations import organizations
from registry.people.tokens import tokens

MOST_FOUND = 1000


class WhoAmI(Route):
    """GET /api/whoami-v2"""

    def get(self, request: HttpRequest) -> HttpResponse:
        if self.caller.user is None:
            raise SignInRequired("You are not signed in.")
        rows = Membership.objects.filter(user=self.caller.user).select_related("organization__namespace")
        orgs = [
            {
                "type": "org",
                "id": cursors.format_hub_id(row.organization.pk),
                "name": row.organization.namespace.name,
                "fullname": row.organization.full_name or row.organization.namespace.name,
                "roleInOrg": row.role,
            }
            for row in rows.order_by("organization__namespace__name")
            if not self.caller.is_fine_grained
        ]
        return answer(shapes.whoami(self.caller, orgs))


class Anonymous(Route):
    """A route that knows no callers: neither an old token nor a leaked one may hinder it."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.META.pop("HTTP_AUTHORIZATION", None)
        return super().dispatch(request, *args, **kwargs)


class RevokeFound(Anonymous):
    """POST /api/credentials/revoke: revokes leaked tokens, and does not tell whether they were valid."""

    def post(self, request: HttpRequest) -> HttpResponse:
        # They are hashed and never stored, and the answer must not depend on what they are.
        credentials = bodies.strings(bodies.json_object(request), "credentials", storable=False)
        if len(credentials) > MOST_FOUND:
            raise ValueInvalid(
                f"Too many credentials; the limit is {MOST_FOUND:,}.", fix="Send them in several requests."
            )
        tokens.revoke_leaked(credentials)
        return answer({}, status=202)


class AgentHarnesses(Route):
    """GET /api/agent-harnesses: `hf` asks once a day; this hub has none."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return answer({"standardEnvVars": [], "harnesses": {}})


class Telemetry(Route):
    """HEAD /api/telemetry/…: answered and ignored."""

    def get(self, request: HttpRequest, topic: str) -> HttpResponse:
        return HttpResponse(status=204)


MAX_FORM = 64 << 10
# Answers of features, by the grant_type of the form.
GRANTS: dict[str, Callable[[dict[str, str]], HttpResponse]] = {}


class Token(Anonymous):
    """POST /oauth/token: what features answer"""

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            given = form(request)
        except ValueInvalid as error:
            return refused("invalid_request", f"{error.detail} {error.fix}".strip())
        grant = given.get("grant_type", "")
        if grant in GRANTS:
            return GRANTS[grant](given)
        if grant == "refresh_token":
            return refused("invalid_grant", "This hub gives no refresh tokens: sign in again.")
        return refused("unsupported_grant_type", f"This hub knows {', '.join(GRANTS) or 'no grant_type'}.")


def form(request: HttpRequest) -> dict[str, str]:
    """Return the fields of a form, or of a JSON object. Raises ValueInvalid for a body that is too long."""
    if (request.content_type or "").endswith("json"):
        return {key: value for key, value in bodies.json_object(request).items() if isinstance(value, str)}
    if bodies.declared_length(request) > MAX_FORM:
        raise ValueInvalid("The form is too long.", fix="Send the fields of RFC 8628.")
    text = b"".join(bodies.pieces(request)).decode("utf-8", "replace")
    return {key: values[-1] for key, values in parse_qs(text).items()}


def refused(word: str, sentence: str) -> HttpResponse:
    """A refusal of RFC 6749, section 5.2."""
    return answer({"error": word, "error_description": sentence}, status=400)


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


class Members(Asked):
    """GET /api/organizations/{o}/members"""

    kind = Namespace.Kind.ORGANIZATION

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        rows = self.namespace(name).organization.memberships.filter(user__is_active=True).select_related("user")
        return paged(request, rows, lambda row: user(request, row.user))


class Repositories(Route):
    """GET /api/settings/repositories: the caller's own, with what they take up"""

    def get(self, request: HttpRequest) -> HttpResponse:
        if self.caller.user is None:
            raise SignInRequired("Listing your repositories requires a token.")
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
            raise ValueInvalid("A decision must name the user or the request.", fix="Send 'user' or 'requestId'.")
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
        "fields": ({"text": row.text} if row.text else {}) | row.answers,
    }
    if row.decided_by is not None:
        fields["grantedBy" if row.status == AccessRequest.Status.ACCEPTED else "decidedBy"] = {
            "user": row.decided_by.username
        }
    if row.reason:
        fields["rejectionReason"] = row.reason
    return fields
