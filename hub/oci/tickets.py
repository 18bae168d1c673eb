"""Bearer tokens of the OCI routes: signed, short-lived, bound to our token and to the repositories of their scope."""

from typing import TypedDict

from django.core import signing

from registry.kernel.errors import TokenInvalid
from registry.kernel.policy import NOBODY, Caller
from registry.people.tokens import tokens

SECONDS = 900
_SALT = "dovetail.oci"


class Bound(TypedDict):
    """The content of a ticket: the id of our token, None for nobody's, and the repositories that it opens."""

    token: int | None
    names: list[str]


def issue(by: Caller, names: list[str]) -> str:
    """Return a ticket for a caller; what they may read is asked again at each request."""
    bound: Bound = {"token": by.token.pk if by.token else None, "names": names}
    return signing.dumps(bound, salt=_SALT)


def redeem(value: str) -> tuple[Caller, frozenset[str] | None]:
    """Return the caller of a bearer token and the repositories that it opens, None for all: one of ours is taken too.

    Raises TokenInvalid, also for a ticket whose token is revoked.
    """
    try:
        bound: Bound = signing.loads(value, salt=_SALT, max_age=SECONDS)
    except signing.SignatureExpired:
        raise TokenInvalid("The bearer token has expired.") from None
    except signing.BadSignature:
        return tokens.caller_of(value), None
    caller = NOBODY if bound["token"] is None else tokens.caller_of_id(bound["token"])
    return caller, frozenset(bound["names"])
