"""Create, use and revoke tokens; only their digests are stored."""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TypedDict

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from registry.kernel import audit, names
from registry.kernel.errors import NameTaken, RegistryError, TokenInvalid, TokenNotFound, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.prepared import Prepared
from registry.models import Token, User

PREFIX = "dvt_"
LAST_USED_EVERY = timedelta(minutes=1)
GRANTS = ("read", "write")
_ALPHABET = string.digits + string.ascii_letters
_VALUE = re.compile(r"[!-~]{12,500}")


def new_value() -> str:
    """Return dvt_ + 26 random characters + 6 of a checksum, so that scanners can tell a token from noise."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(26))
    return f"{PREFIX}{body}{_checksum(body)}"


def create_token(
    user: User,
    name: str,
    role: str,
    *,
    value: str = "",
    expires_at: datetime | None = None,
    grants: Mapping[str, str] | None = None,
) -> str:
    """Create a token and return its value, which nobody can read again. Raises ValueInvalid, NameTaken."""
    value = value or new_value()
    row = token_columns(name, role, value, expires_at, grants or {})
    try:
        with transaction.atomic():
            token = Token.objects.create(user=user, **row)
            audit.record(user, "token:create", f"{user}/{token.name}", about=user, after=_state(token))
    except IntegrityError as error:
        raise _refusal(error, row["name"]) from None
    return value


def set_token(
    user: User, name: str, role: str, *, value: str, expires_at: datetime | None, grants: Mapping[str, str]
) -> bool:
    """Create or change the person's token of that name for the operator; returns whether anything changed.

    Raises ValueInvalid, also when the value is another token's.
    """
    row = token_columns(name, role, value, expires_at, grants)
    old = user.tokens.filter(name=row["name"]).first()
    if old is not None and all(getattr(old, field) == new for field, new in row.items()):
        return False
    try:
        with transaction.atomic():
            token, _ = Token.objects.update_or_create(user=user, name=row["name"], defaults=row)
            before, after = _state(old) if old else None, _state(token)
            audit.record(
                None,
                "token:change" if old else "token:create",
                f"{user}/{token.name}",
                about=user,
                before=before,
                after=after,
            )
    except IntegrityError as error:
        raise _refusal(error, row["name"]) from None
    return True


class TokenColumns(TypedDict):
    """Columns of a token; `grants` maps full names in lower case to rights."""

    name: str
    role: str
    sha256: str
    expires_at: datetime | None
    grants: dict[str, str]


def token_columns(
    name: str, role: str, value: str, expires_at: datetime | None, grants: Mapping[str, str]
) -> TokenColumns:
    """Return the columns of such a token. Raises ValueInvalid, NameInvalid."""
    if not names.check_text(name, "token's name", 100):
        raise ValueInvalid("A token needs a name of 1 to 100 characters.", fix="Name it after where it is used.")
    if role not in Token.Role.values:
        raise ValueInvalid(f"There is no token role {role!r}.", fix=f"Use one of {', '.join(Token.Role.values)}.")
    if not _VALUE.fullmatch(value):
        raise ValueInvalid(
            f"The value of token {name!r} cannot be sent in a header.",
            fix="Use 12 to 500 letters, digits or other visible ASCII characters, without spaces.",
        )
    if bool(grants) != (role == Token.Role.FINE_GRAINED):
        raise ValueInvalid(
            f"The token {name!r} has the role {role} and {len(grants)} repositories.",
            fix="Name repositories for a fine-grained token, and for no other.",
        )
    for full_name, right in grants.items():
        for part in names.split_id(full_name):
            names.check_name(part)
        if right not in GRANTS:
            raise ValueInvalid(
                f"A token cannot be given {right!r} on {full_name}.", fix=f"Use one of {', '.join(GRANTS)}."
            )
    return {
        "name": name.strip(),
        "role": role,
        "sha256": digest(value),
        "expires_at": expires_at,
        "grants": {full_name.lower(): right for full_name, right in grants.items()},
    }


def _refusal(error: IntegrityError, name: str) -> RegistryError:
    if "token.sha256" in str(error) or "token_sha256" in str(error):
        return ValueInvalid(f"The value of token {name!r} is already another token's.", fix="Use a value of its own.")
    return NameTaken(f"You already have a token named {name!r}.", fix="Revoke it first, or use another name.")


def get_token(user: User, token_id: int) -> Token:
    """Return one of the person's own tokens. Raises TokenNotFound."""
    token = user.tokens.filter(pk=token_id).first()
    if token is None:
        raise TokenNotFound(f"You have no token {token_id}.")
    return token


def revoke_token(user: User, token_id: int) -> None:
    """Delete one of the person's own tokens; a no-op for an unknown id."""
    _revoke(user.tokens.filter(pk=token_id), by=user)


def revoke_values(values: Iterable[str]) -> None:
    """Delete leaked tokens; anyone who knows a value may revoke it, and learns nothing by trying."""
    _revoke(Token.objects.filter(sha256__in=[digest(value) for value in values]), by=None)


def _revoke(tokens: QuerySet[Token], by: User | None) -> None:
    with transaction.atomic():
        for token in tokens.select_related("user"):
            state = _state(token)
            token.delete()
            audit.record(by, "token:revoke", f"{token.user}/{token.name}", about=token.user, before=state)


def _state(token: Token) -> dict[str, object]:
    """Return what the log keeps of a token; never its value or its digest."""
    ends = token.expires_at.isoformat() if token.expires_at else None
    return {"role": token.role, "grants": dict(token.grants), "expires_at": ends}


def caller_of(value: str) -> Caller:
    """Return the caller with this token. Raises TokenInvalid if it is unknown or expired, or its owner is suspended."""
    return _caller(_BY_DIGEST.first(digest(value)))


def caller_of_id(token_id: int) -> Caller:
    """Return the caller with the token of this id, for a request that has proven possession before."""
    return _caller(Token.objects.filter(pk=token_id).select_related("user", "user__namespace").first())


_UNUSED_COLUMNS = ("created_at", "user__password", "user__last_login", "user__created_at", "user__mail_alerts")
_BY_DIGEST = Prepared(
    lambda sha256: Token.objects.filter(sha256=sha256).select_related("user").order_by().defer(*_UNUSED_COLUMNS), str
)


def _caller(token: Token | None) -> Caller:
    now = timezone.now()
    if token is None or not token.user.is_active or (token.expires_at is not None and token.expires_at <= now):
        raise TokenInvalid("Invalid credentials in Authorization header")
    _note_use(token, now)
    return Caller(user=token.user, token=token)


def digest(value: str) -> str:
    """Return the stored digest of a token. Our values carry ≥ 150 random bits, so a plain sha256 is not guessable."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def _note_use(token: Token, now: datetime) -> None:
    # At most one write a minute and token: a download of thousands of files must not become thousands of writes.
    if token.last_used_at is None or now - token.last_used_at > LAST_USED_EVERY:
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - LAST_USED_EVERY)
        Token.objects.filter(stale, pk=token.pk).update(last_used_at=now)


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, index = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[index] + digits
    return digits
