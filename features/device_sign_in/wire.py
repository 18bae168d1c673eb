"""The beginning of a program's sign-in (RFC 8628, section 3.1), at /oauth/device."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import path, reverse

from features.device_sign_in import verbs
from hub import limits
from hub.addresses import absolute, site_of
from hub.answers import answer
from hub.hf import account, bodies

# A minute, of a /48 or /24: its share of verbs.MOST_WAITING.
SHARE = limits.Quota("devices", 60)


class Device(account.Words):
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


WIRE = [path("oauth/device", Device.as_view(), name="oauth-device")]
