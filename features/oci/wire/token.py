"""The routes at which clients learn that they need a bearer token, and get one."""

import re
from collections.abc import Iterable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from features.oci.wire.dialect import SECONDS, OciDoor, issue, refusal
from hub.answers import answer
from registry.kernel.policy import Caller
from registry.people.tokens import tokens

_SCOPE = re.compile(r"repository:([^:\s]{1,200}):([a-z*,]*)")
MOST_NAMES = 50


class Check(OciDoor):
    """GET /v2/: whether the credentials are good; a challenge without any, or `login` would take every password."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if "HTTP_AUTHORIZATION" not in request.META:
            return self.challenge(refusal("UNAUTHORIZED", "Ask for a bearer token first.", 401))
        return answer({})


class Token(OciDoor):
    """GET and POST /v2/token: a bearer token for the scopes; the password is one of our tokens, if there is one."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return _token(self.caller, request.GET.getlist("scope"))

    def post(self, request: HttpRequest) -> HttpResponse:
        grant = request.POST.get("grant_type", "")
        value = request.POST.get({"password": "password", "refresh_token": "refresh_token"}.get(grant, ""), "")
        if not value:
            return refusal("UNSUPPORTED", "Send grant_type=password, with a token of this hub as the password.", 400)
        return _token(tokens.caller_of(value), request.POST.getlist("scope"))


def _token(caller: Caller, scopes: Iterable[str]) -> HttpResponse:
    asked = [_SCOPE.fullmatch(scope) for line in scopes for scope in line.split()]
    names = [match[1].lower() for match in asked if match and {"pull", "*"} & set(match[2].split(","))]
    value = issue(caller, sorted(set(names))[:MOST_NAMES])
    made = timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    return answer({"token": value, "access_token": value, "expires_in": SECONDS, "issued_at": made})
