"""Creates, uses and revokes tokens, of which only the digests are stored.

Tokens of this hub that leaked are recognised in files and revoked at once; their owners are alerted.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypedDict

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from registry.kernel import audit, outbox, refusals, seams
from registry.kernel.errors import NameTaken, RegistryError, TokenInvalid, TokenNotFound, ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller
from registry.kernel.seams import TokenKind
from registry.kernel.texts import names
from registry.models import Repository, Revision, Token, User
from registry.sql.prepared import Prepared

PREFIX = "dvt_"
LAST_USED_EVERY = timedelta(minutes=1)
GRANTS = ("read", "write")
MACHINE_GRANTS = (*GRANTS, "create")  # write, and create a repository of that name
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
    by: User | None = None,
) -> str:
    """Create a token and return its value, which nobody can read again; `by` creates it for a machine.

    Raises ValueInvalid, NameInvalid, NameTaken, and SecondFactorRequired where the hub requires one.
    """
    if refusal := refusals.lacks_factor(user):
        raise refusal
    value = value or new_value()
    rights = MACHINE_GRANTS if user.is_machine else GRANTS
    row = token_columns(name, role, value, expires_at, grants or {}, rights)
    try:
        with transaction.atomic():
            token = Token.objects.create(user=user, **row)
            audit.record(by or user, "token:create", f"{user}/{token.name}", about=user, after=_state(token))
    except IntegrityError as error:
        raise _refusal(error, row["name"]) from None
    return value


def set_token(
    user: User, name: str, role: str, *, value: str, expires_at: datetime | None, grants: Mapping[str, str]
) -> bool:
    """Create or change the person's token of that name for the operator; returns whether anything changed.

    Raises ValueInvalid, also when the value is another token's.
    """
    row = token_columns(name, role, value, expires_at, grants, MACHINE_GRANTS if user.is_machine else GRANTS)
    old = user.tokens.filter(name=row["name"]).first()
    if old is not None and all(getattr(old, field) == new for field, new in row.items()):
        return False
    try:
        with transaction.atomic():
            token, _ = Token.objects.update_or_create(
                user=user, name=row["name"], defaults={**row, "reminded_at": None}
            )
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
    name: str,
    role: str,
    value: str,
    expires_at: datetime | None,
    grants: Mapping[str, str],
    rights: Sequence[str] = GRANTS,
) -> TokenColumns:
    """Return the columns of such a token, which may give these rights. Raises ValueInvalid, NameInvalid."""
    if not names.check_text(name, "token's name", 100, "name"):
        raise ValueInvalid("A token needs a name of 1 to 100 characters.", "Name it after where it is used.", "name")
    if role not in Token.Role.values:
        raise ValueInvalid(f"Unknown token role {role!r}.", fix=f"Use one of {', '.join(Token.Role.values)}.")
    if not _VALUE.fullmatch(value):
        raise ValueInvalid(
            f"The value of token {name!r} cannot be sent in a header.",
            fix="Use 12 to 500 letters, digits or other visible ASCII characters, without spaces.",
        )
    if bool(grants) != (role == Token.Role.FINE_GRAINED):
        raise ValueInvalid(
            f"The token {name!r} has the role {role} and lists {len(grants)} repositories.",
            fix="List repositories for a fine-grained token only.",
        )
    for pattern, right in grants.items():
        _check_pattern(pattern)
        if right not in rights:
            raise ValueInvalid(
                f"A token cannot be given {right!r} on {pattern}.", fix=f"Use one of {', '.join(rights)}."
            )
    return {
        "name": name.strip(),
        "role": role,
        "sha256": digest(value),
        "expires_at": expires_at,
        "grants": {full_name.lower(): right for full_name, right in grants.items()},
    }


def _check_pattern(pattern: str) -> None:
    """Raise NameInvalid unless it is the id of a repository, or the beginning of one with `*` for any rest."""
    namespace, name = names.split_id(pattern)
    names.check_name(namespace)
    beginning = name.removesuffix("*")
    if beginning or beginning == name:
        names.check_name(f"{beginning}x" if beginning != name else name)  # reviews-* may end in any character


def _refusal(error: IntegrityError, name: str) -> RegistryError:
    if "token.sha256" in str(error) or "token_sha256" in str(error):
        return ValueInvalid(f"The value of token {name!r} is already used by another token.", fix="Use another value.")
    return NameTaken(f"You already have a token named {name!r}.", fix="Revoke it first, or use another name.")


def list_tokens(by: Caller) -> QuerySet[Token]:
    """Return the tokens of the caller, newest first; a token knows of itself alone: one that leaks betrays no other."""
    rows = Token.objects.filter(user=by.user)
    return rows.filter(pk=by.token.pk) if by.token else rows


def get_token(by: Caller, token_id: int) -> Token:
    """Return one of the caller's own tokens that list_tokens shows. Raises TokenNotFound."""
    token = list_tokens(by).filter(pk=token_id).first()
    if token is None:
        raise TokenNotFound(f"You have no token {token_id}.")
    return token


def revoke_token(user: User, token_id: int) -> None:
    """Delete one of the person's own tokens; a no-op for an unknown id."""
    revoke(user.tokens.filter(pk=token_id), by=user)


def revoke_values(values: Iterable[str]) -> None:
    """Delete the tokens with these values, which leaked."""
    revoke(Token.objects.filter(sha256__in=[digest(value) for value in values]), by=None)


def revoke_all(user: User, by: User | None) -> int:
    """Delete every token of a person, as after a change of the password; return how many there were."""
    with transaction.atomic():
        for feature in seams.joined():
            feature.tokens_revoked(user)
        return revoke(Token.objects.filter(user=user), by=by)


def revoke(tokens: QuerySet[Token], by: User | None) -> int:
    """Delete these tokens, each with an entry in the log; return how many there were."""
    revoked = 0
    with transaction.atomic():
        for token in tokens.select_related("user"):
            state = _state(token)
            token.delete()
            audit.record(by, "token:revoke", f"{token.user}/{token.name}", about=token.user, before=state)
            revoked += 1
    return revoked


def _state(token: Token) -> dict[str, object]:
    """Return what the log keeps of a token; never its value or its digest."""
    ends = token.expires_at.isoformat() if token.expires_at else None
    return {"role": token.role, "grants": dict(token.grants), "expires_at": ends}


def caller_of(value: str) -> Caller:
    """Return the caller with this token. Raises TokenInvalid if it is unknown or expired, or its owner is suspended."""
    return caller_with(_BY_DIGEST.first(digest(value)))


def caller_of_id(token_id: int) -> Caller:
    """Return the caller with the token of this id, for a request that has proven possession before."""
    return caller_with(find_token(token_id))


def find_token(token_id: int) -> Token | None:
    """Return the token of this id with its owner, usable or not, for a caller that has yet to prove possession."""
    return Token.objects.select_related("user", "user__namespace").filter(pk=token_id).first()


_UNUSED_COLUMNS = (
    "created_at",
    "user__password",
    "user__last_login",
    "user__created_at",
    "user__mail_alerts",
    "user__digest_hour",
    "user__digested_at",
)
_BY_DIGEST = Prepared(
    lambda sha256: Token.objects.filter(sha256=sha256).select_related("user").order_by().defer(*_UNUSED_COLUMNS), str
)


def caller_with(token: Token | None) -> Caller:
    """Return the caller with a token whose possession is proven, and note its use. Raises TokenInvalid."""
    now = timezone.now()
    if token is None or not _may_act(token.user) or (token.expires_at is not None and token.expires_at <= now):
        raise TokenInvalid("Invalid credentials in Authorization header")
    _note_use(token, now)
    return Caller(user=token.user, token=token)


def _may_act(user: User) -> bool:
    """Return whether the person is not suspended; of a machine, nor the person for whom it works."""
    person: User | None = getattr(user.works_for, "person", None) if user.is_machine else None
    return user.is_active and (person is None or person.is_active)


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


MAX_CANDIDATES = 1000  # of one text
MAX_IN_ALL = 10_000  # of all files of a push together, which holds the repository's lock
BATCH = 500  # values that one query asks for: SQLite takes a limited number
MAX_NAMED = 20  # files that the event names
_OF_PEOPLE = rb"\b(?:dvt|hf)_[A-Za-z0-9_]{8,200}\b"
_STORING = ("q", "r")  # instructions of a pickle, BINPUT and LONG_BINPUT, which follow a text without a gap


def pattern() -> bytes:
    """Return the regular expression of what looks like a token of this hub, of people, robots or features."""
    return b"|".join((_OF_PEOPLE, *(kind.pattern for kind in _kinds())))


def readings(values: Iterable[str]) -> set[str]:
    """Return what tokens the matches of `pattern` may be: behind some an instruction of a pickle follows."""
    found = set(values)
    return found | {value[:-1] for value in found if value.endswith(_STORING)}


def candidates(content: bytes) -> set[str]:
    """Return the parts of a file that look like tokens of this hub."""
    return readings(value.decode() for value in re.findall(pattern(), content)[:MAX_CANDIDATES])


def revoke_in(found: Mapping[str, set[str]], repository: Repository, revision: Revision) -> list[str]:
    """Revoke those of the candidates in files (path → candidates) of a revision that work; return the paths of these.

    Call it in a transaction. Two queries for up to BATCH candidates, none without one.
    """
    values = sorted(set().union(*found.values()))[:MAX_IN_ALL]
    working = _working(values) if values else set()
    files = sorted(path for path, values in found.items() if values & working)
    if files:
        _revoke(working, repository, revision=revision.oid, files=files[:MAX_NAMED])
    return files


def revoke_leaked(values: Collection[str]) -> None:
    """Revoke leaked tokens; anyone who knows a value may, and learns nothing by trying."""
    if working := _working(values):
        _revoke(working, None)


def _working(values: Iterable[str]) -> set[str]:
    """Return those of these values that are tokens of this hub."""
    by_digest = {digest(value): value for value in values}
    known: set[str] = set()
    digests = list(by_digest)
    for start in range(0, len(digests), BATCH):
        for table in (Token.objects.all(), *(kind.rows() for kind in _kinds())):
            known.update(table.filter(sha256__in=digests[start : start + BATCH]).values_list("sha256", flat=True))
    return {by_digest[sha256] for sha256 in known}


def _revoke(values: Collection[str], repository: Repository | None, **where: object) -> None:
    """Revoke tokens, and record the event from which moderators and the owners of the tokens learn of it."""
    digests = [digest(value) for value in values]
    people = Token.objects.filter(sha256__in=digests).order_by("pk").values_list("name", "user")
    revoked = [{"name": name, "owner": owner} for name, owner in people]
    revoke_values(values)
    for kind in _kinds():
        names = kind.rows().filter(sha256__in=digests).order_by("pk").values_list("name", flat=True)
        revoked += [{"name": name, "owner": None} for name in names]
        kind.revoke_values(values)
    outbox.record(Kind.TOKENS_LEAKED, repository, None, tokens=revoked, **where)


def _kinds() -> Iterator[TokenKind]:
    return (kind for feature in seams.joined() for kind in feature.tokens)
