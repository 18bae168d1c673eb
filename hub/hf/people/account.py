"""The caller's account, leaked credentials, and the small routes that clients call on their own."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from hub.answers import answer
from hub.hf import bodies, shapes
from hub.hf.dialect import Route
from registry.kernel.errors import SignInRequired, ValueInvalid
from registry.kernel.texts import ids
from registry.models import Membership
from registry.people.tokens import leaks

MOST_FOUND = 1000


class WhoAmI(Route):
    """GET /api/whoami-v2"""

    def get(self, request: HttpRequest) -> HttpResponse:
        if self.caller.user is None:
            raise SignInRequired("Nobody is signed in here.")
        rows = Membership.objects.filter(user=self.caller.user).select_related("organization__namespace")
        orgs = [
            {
                "type": "org",
                "id": ids.format_hub_id(row.organization.pk),
                "name": row.organization.namespace.name,
                "fullname": row.organization.full_name or row.organization.namespace.name,
                "roleInOrg": row.role,
            }
            for row in rows.order_by("organization__namespace__name")
            if not self.caller.is_fine_grained
        ]
        return answer(shapes.whoami(self.caller, orgs))


class RevokeFound(Route):
    """POST /api/credentials/revoke: revokes leaked tokens, and does not tell whether they were valid."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.META.pop(
            "HTTP_AUTHORIZATION", None
        )  # the caller does not matter, even when they sign with the leaked token
        return super().dispatch(request, *args, **kwargs)

    def post(self, request: HttpRequest) -> HttpResponse:
        # They are hashed and never stored, and the answer must not depend on what they are.
        credentials = bodies.strings(bodies.json_object(request), "credentials", storable=False)
        if len(credentials) > MOST_FOUND:
            raise ValueInvalid(f"At most {MOST_FOUND:,} credentials at once.", fix="Send them in several requests.")
        leaks.revoke_values(credentials)
        return answer({}, status=202)


class AgentHarnesses(Route):
    """GET /api/agent-harnesses: `hf` asks once a day; this hub has none."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return answer({"standardEnvVars": [], "harnesses": {}})


class Telemetry(Route):
    """HEAD /api/telemetry/…: answered and ignored."""

    def get(self, request: HttpRequest, topic: str) -> HttpResponse:
        return HttpResponse(status=204)
