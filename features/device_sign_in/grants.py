"""The token of a program's sign-in (RFC 8628, section 3.4), at /oauth/token."""

from django.http import HttpResponse

from features.device_sign_in import verbs
from hub.answers import answer
from hub.hf.account import refused

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


def fetched(given: dict[str, str]) -> HttpResponse:
    """Answer with the token of an approved sign-in, or why there is none yet."""
    try:
        value = verbs.fetch_token(given.get("device_code", ""))
    except verbs.SignInUnfinished as error:
        return refused(str(error.facts["error"]), error.detail)
    return answer({"access_token": value, "token_type": "bearer", "expires_in": verbs.TOKEN_DAYS * 24 * 3600})


GRANTS = {DEVICE_CODE: fetched}
