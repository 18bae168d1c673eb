"""How `hf auth login` signs in by a browser: device codes and the token they become, in OAuth's own words."""

from typing import Any
from urllib.parse import parse_qs

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from hub.answers import answer
from hub.hf import bodies
from hub.hf.dialect import Route
from hub.origin import absolute
from registry.kernel.errors import NotSupported, SignInUnfinished, ValueInvalid
from registry.people import devices

MAX_FORM = 64 << 10
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


class Words(Route):
    """A route that takes a form and knows no callers."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.META.pop("HTTP_AUTHORIZATION", None)  # an old token must not hinder a new sign-in
        return super().dispatch(request, *args, **kwargs)


class Device(Words):
    """POST /oauth/device (RFC 8628, section 3.1)"""

    def post(self, request: HttpRequest) -> HttpResponse:
        form(request)
        begun = devices.begin_sign_in(request.headers.get("User-Agent", ""))
        page = absolute(request, reverse("device"))
        code = devices.format_code(begun.user_code)
        return answer(
            {
                "device_code": begun.device_code,
                "user_code": code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?code={code}",
                "expires_in": devices.SECONDS,
                "interval": devices.INTERVAL_SECONDS,
            }
        )


class Token(Words):
    """POST /oauth/token: for device codes; refreshing and exchanging are refused in OAuth's words"""

    def post(self, request: HttpRequest) -> HttpResponse:
        given = form(request)
        grant = given.get("grant_type", "")
        if grant == EXCHANGE:
            raise NotSupported(
                "Exchanging the token of a build system is not served.", fix="Make a fine-grained token for it instead."
            )
        if grant == "refresh_token":
            return refused("invalid_grant", "This hub gives no refresh tokens: sign in again.")
        if grant != DEVICE_CODE:
            return refused("unsupported_grant_type", "This hub knows device codes only.")
        try:
            value = devices.fetch_token(given.get("device_code", ""))
        except SignInUnfinished as error:
            return refused(str(error.facts["error"]), error.detail)
        lives = devices.TOKEN_DAYS * 24 * 3600
        return answer({"access_token": value, "token_type": "bearer", "expires_in": lives})


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
