"""The exchange of a CI job's identity token in OAuth's own words (RFC 8693), at /oauth/token."""

from django.http import HttpResponse

from features.publishers import exchange
from hub.answers import answer
from hub.hf.account import refused
from registry.kernel.errors import ExchangeRefused

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  # the name of a kind, no token
JWT = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  # the same


def exchanged(given: dict[str, str]) -> HttpResponse:
    """Answer an exchange: the access token of one repository, or a refusal of RFC 6749."""
    if given.get("subject_token_type") not in (ID_TOKEN, JWT):
        return refused("invalid_request", f"The subject_token_type must be {ID_TOKEN}.")
    if given.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        return refused("invalid_request", f"This hub issues tokens of type {ACCESS_TOKEN} only.")
    missing = [field for field in ("subject_token", "resource") if not given.get(field)]
    if missing:
        return refused("invalid_request", f"The request lacks {' and '.join(missing)}.")
    try:
        value = exchange.exchange(given["subject_token"], given["resource"])
    except ExchangeRefused as error:
        return refused(str(error.facts["error"]), f"{error.detail} {error.fix}")
    body = {
        "access_token": value,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "bearer",
        "expires_in": exchange.SECONDS,
    }
    return answer(body)


GRANTS = {EXCHANGE: exchanged}
