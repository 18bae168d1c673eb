"""The caller's account, leaked credentials, tokens by OAuth, and the small routes that clients call."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from hub.answers import answer
from hub.hf import bodies, shapes
from hub.hf.dialect import Route
from registry.kernel.errors import SignInRequired, ValueInvalid
from registry.kernel.texts import cursors
from registry.models import Membership
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
