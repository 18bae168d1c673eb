"""Short-lived tokens for the Xet routes, without a table: signed, and bound to a repository, a scope and a caller."""

import time
from enum import StrEnum
from typing import TypedDict

from django.core import signing
from django.utils.crypto import salted_hmac

from registry.kernel import policy, site_settings
from registry.kernel.errors import NotAllowed, RepositoryNotFound, TokenInvalid
from registry.kernel.policy import NOBODY, Caller, Permission
from registry.models import Repository
from registry.people.tokens import tokens

SECONDS = 3600  # hf_xet renews 30 s before the end; it does not ask again after a 401
_SALT = "dovetail.xet"


class Scope(StrEnum):
    """The scope of a ticket; writing includes reading."""

    READ = "read"
    WRITE = "write"


PERMISSION = {Scope.READ: Permission.DOWNLOAD, Scope.WRITE: Permission.DISCUSS}


class Bound(TypedDict):
    """The content of a ticket: ids of its repository and its token, None for nobody's."""

    repository: int
    scope: str
    token: int | None


def issue(repository: Repository, scope: Scope, by: Caller) -> tuple[str, int]:
    """Return a ticket and the Unix time at which it expires; the caller must have been allowed already."""
    bound: Bound = {"repository": repository.pk, "scope": scope.value, "token": by.token.pk if by.token else None}
    return signing.dumps(bound, salt=_SALT), int(time.time()) + SECONDS


def store_name(scope: Scope, by: Caller) -> str:
    """Return the part of the address that tells this hub from an earlier one at the same address.

    A client caches for three weeks, by address, which chunks it has sent, and never sends them again, even when told
    that they are missing. Two people may share a machine, and each must have sent what they refer to: so each writes
    at an address of their own, and at another one after such chunks were deleted.
    """
    person = f"{by.user.pk} {by.user.chunks_lost_at or ''}".strip() if scope is Scope.WRITE and by.user else ""
    return salted_hmac(_SALT, f"store{person}").hexdigest()[:16]


def redeem(header: str, scope: Scope) -> tuple[Repository, Caller]:
    """Return what the ticket in an Authorization header is bound to, if it still may do `scope` there now.

    Raises TokenInvalid for a forged or expired ticket, NotAllowed for one of the lesser scope, and what
    policy.require raises: rights may have been lost, and the adapter quarantined, since the ticket was issued.
    """
    bound = _bound(header)
    if scope is Scope.WRITE and bound["scope"] != Scope.WRITE:
        raise NotAllowed("This Xet access token is read-only.", "Request a write token from xet-write-token.")
    caller = NOBODY if bound["token"] is None else tokens.caller_of_id(bound["token"])
    repository = Repository.objects.select_related("namespace__person").filter(pk=bound["repository"]).first()
    if repository is None:
        raise RepositoryNotFound("The repository of this Xet access token does not exist, or you may not see it.")
    repository = policy.require_bound(caller, PERMISSION[scope], repository, "Xet access token")
    if scope is Scope.WRITE:
        site_settings.require_uploads()
    return repository, caller


def token_of(header: str) -> int | None:
    """Return the id of the token that a ticket in a header came from, None for nobody's. Raises TokenInvalid."""
    return _bound(header)["token"]


def _bound(header: str) -> Bound:
    """Return what a ticket is bound to. Raises TokenInvalid."""
    kind, _, value = header.partition(" ")
    if kind.lower() != "bearer":
        raise TokenInvalid("Xet routes require an access token from xet-write-token or xet-read-token.")
    try:
        bound: Bound = signing.loads(value.strip(), salt=_SALT, max_age=SECONDS)
    except signing.BadSignature:  # also: expired
        raise TokenInvalid("The Xet access token is not valid, or has expired.") from None
    return bound
