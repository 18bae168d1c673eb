"""The S3 key of a token: an id and a secret that sign requests in its place, computed when they are needed.

Nothing is stored. The secret is an HMAC of the token's digest under the hub's secret key, so that neither the database
nor the id alone gives it, and it ends with the token. The token can ask for it again at any time.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.utils.crypto import salted_hmac

from registry.kernel.errors import TokenInvalid
from registry.kernel.policy import Caller
from registry.models import Token
from registry.people.tokens import tokens

PREFIX = "DVT"
_DIGITS, _CHECK = 10, 8  # of an id: the token's number, and hex digits that nobody can guess, so that ids tell nothing
_SALT = "dovetail.s3"


@dataclass(frozen=True, slots=True)
class S3Key:
    """An access key as S3 clients are given it."""

    id: str
    secret: str


def key_of(token: Token) -> S3Key:
    """Return the key of a token."""
    return S3Key(_id_of(token.pk, settings.SECRET_KEY), _secret_of(token, settings.SECRET_KEY))


def caller_of(key_id: str, is_signed_with: Callable[[str], bool]) -> Caller | None:
    """Return the caller whose key has this id, None if none of its secrets signed the request.

    `is_signed_with` is asked with each secret that the key may have: the hub's secret key may have been replaced.
    Raises TokenInvalid for an unknown id, and for a token that was revoked, has expired, or whose owner is suspended.
    """
    secret_keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    number = key_id.removeprefix(PREFIX)[:_DIGITS]
    is_number = number.isascii() and number.isdigit()
    if not is_number or not any(hmac.compare_digest(_id_of(int(number), key), key_id) for key in secret_keys):
        raise TokenInvalid("Unknown access key.")
    token = tokens.find_token(int(number))
    if token is None:
        raise TokenInvalid("The token of this access key was revoked.")
    if not any(is_signed_with(_secret_of(token, key)) for key in secret_keys):
        return None
    return tokens.caller_with(token)


def _id_of(number: int, secret_key: str) -> str:
    text = f"{number:0{_DIGITS}}"
    check = salted_hmac(f"{_SALT}.id", text, secret=secret_key, algorithm="sha256").hexdigest()[:_CHECK]
    return f"{PREFIX}{text}{check.upper()}"


def _secret_of(token: Token, secret_key: str) -> str:
    return salted_hmac(f"{_SALT}.secret", token.sha256, secret=secret_key, algorithm="sha256").hexdigest()[:40]
