"""A program's sign-in (RFC 8628): its beginning at /oauth/device, and its token at /oauth/token."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import path, reverse

from features.device_sign_in import verbs
from hub import limits
from hub.addresses import absolute, site_of
from hub.answers import answer
from hub.hf import account, bodies
from hub.hf.account import refused

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
# A minute, of a /48 or /24: its share of verbs.MOST_WAITING.
SHARE = limits.Quota("devices", 60)


class Device(account.Anonymous):
    """POST /oauth/device"""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        taken = limits.take(request, limits.Family.SIGN_IN)
        if taken and not taken.is_refused:
            taken = limits.take_of(SHARE, f"{SHARE.name}:{site_of(request)}")
        if taken and taken.is_refused:
            bodies.drain(request)
            refusal = {"error": "slow_down", "error_description": taken.sentence}
            return JsonResponse(refusal, status=429, headers=taken.headers())
        return super().dispatch(request, *args, **kwargs)

    def post(self, request: HttpRequest) -> HttpResponse:
        account.form(request)
        begun = verbs.begin_sign_in(request.headers.get("User-Agent", ""))
        page = absolute(request, reverse("device"))
        code = verbs.format_code(begun.user_code)
        return answer(
            {
                "device_code": begun.device_code,
                "user_code": code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?code={code}",
                "expires_in": verbs.SECONDS,
                "interval": verbs.INTERVAL_SECONDS,
            }
        )


def fetched(given: dict[str, str]) -> HttpResponse:
    """Answer with the token of an approved sign-in, or why there is none yet."""
    try:
        value = verbs.fetch_token(given.get("device_code", ""))
    except verbs.SignInUnfinished as error:
        return refused(str(error.facts["error"]), error.detail)
    return answer({"access_token": value, "token_type": "bearer", "expires_in": verbs.TOKEN_DAYS * 24 * 3600})


WIRE = [path("oauth/device", Device.as_view(), name="oauth-device")]
GRANTS = {DEVICE_CODE: fetched}
