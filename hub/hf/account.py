"""Who the caller is, and the questions clients ask about nobody in particular."""

from django.http import HttpRequest, HttpResponse

from hub.hf import shapes
from hub.hf.dialect import Route, answer
from registry.errors import SignInRequired
from registry.models import Membership


class WhoAmI(Route):
    """GET /api/whoami-v2"""

    def get(self, request: HttpRequest) -> HttpResponse:
        if self.caller.user is None:
            raise SignInRequired("Nobody is signed in here.")
        rows = Membership.objects.filter(user=self.caller.user).select_related("organization__namespace")
        orgs = [
            {
                "type": "org",
                "id": f"{row.organization.pk:024x}",
                "name": row.organization.namespace.name,
                "fullname": row.organization.full_name or row.organization.namespace.name,
                "roleInOrg": row.role,
            }
            for row in rows.order_by("organization__namespace__name")
        ]
        return answer(shapes.whoami(self.caller, orgs))


class AgentHarnesses(Route):
    """GET /api/agent-harnesses: asked once a day by `hf`; this hub knows none."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return answer({"standardEnvVars": [], "harnesses": {}})


class Telemetry(Route):
    """HEAD /api/telemetry/…: answered, never looked at."""

    def get(self, request: HttpRequest, topic: str) -> HttpResponse:
        return HttpResponse(status=204)
