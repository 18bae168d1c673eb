"""Access requests of a gated repository: its owner lists and decides them."""

from django.http import HttpRequest, HttpResponse

from hub.answers import answer
from hub.hf import bodies, shapes
from hub.hf.dialect import Route
from hub.hf.lists import paged
from hub.hf.people.users import user
from hub.hf.shapes import JSON
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Permission
from registry.kernel.texts import ids
from registry.models import AccessRequest
from registry.people import gates


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
            request_id=ids.parse_hub_id(request_id),
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
        "requestId": ids.format_hub_id(row.pk),
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
