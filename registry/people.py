"""What may be done with people, organisations and tokens."""

import hashlib
import secrets
import string
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from registry import audit, names
from registry.errors import NamespaceNotFound, NameTaken, TokenInvalid, ValueInvalid
from registry.models import Membership, Namespace, Organization, Token, User
from registry.policy import Caller

_ALPHABET = string.digits + string.ascii_letters
TOKEN_PREFIX = "dvt_"
LAST_USED_EVERY = timedelta(minutes=1)


def register(username: str, *, email: str = "", password: str, full_name: str = "", role: str = "user") -> User:
    """Make a person with a namespace of the same name. Raises NameInvalid, NameTaken, ValueInvalid."""
    names.check_namespace(username)
    user = User(username=username, email=email.strip(), full_name=full_name, role=role)
    check_email(user.email)
    check_password(password, user)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.namespace = Namespace.objects.create(name=username, kind=Namespace.Kind.PERSON)
            user.save()
            audit.record(user, "person:register", username)
    except IntegrityError as error:
        if "user_email_unique" in str(error) or "email" in str(error):
            raise NameTaken("This e-mail address is already in use.", fix="Sign in with the other account.") from None
        raise NameTaken(f"The name {username!r} is already taken.") from None
    return user


def check_email(email: str) -> None:
    """Raise ValueInvalid unless it is empty or looks like an address."""
    try:
        if email:
            validate_email(email)
    except ValidationError:
        raise ValueInvalid(f"{email!r} is not an e-mail address.", fix="Write it as name@example.org.") from None


def check_password(password: str, user: User) -> None:
    """Raise ValueInvalid with every reason why the password is too weak."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValueInvalid(
            f"This password is not allowed: {' '.join(error.messages)}", fix="Choose at least 12 characters."
        ) from None


def found(name: str, *, by: User, full_name: str = "", private_by_default: bool = False) -> Organization:
    """Make an organisation whose first administrator is `by`. Raises NameInvalid, NameTaken."""
    names.check_namespace(name)
    try:
        with transaction.atomic():
            namespace = Namespace.objects.create(name=name, kind=Namespace.Kind.ORGANIZATION)
            organization = Organization.objects.create(
                namespace=namespace, full_name=full_name, private_by_default=private_by_default
            )
            Membership.objects.create(organization=organization, user=by, role=Membership.Role.ADMIN)
            audit.record(by, "organization:create", name)
    except IntegrityError:
        raise NameTaken(f"The name {name!r} is already taken.") from None
    return organization


def set_member(organization: Organization, user: User, role: str, *, by: User | None) -> bool:
    """Give a person a role in an organisation; returns whether anything changed. Raises ValueInvalid."""
    if role not in Membership.Role.values:
        raise ValueInvalid(f"There is no role {role!r}.", fix=f"Use one of {', '.join(Membership.Role.values)}.")
    old = organization.memberships.filter(user=user).values_list("role", flat=True).first()
    if old == role:
        return False
    with transaction.atomic():
        Membership.objects.update_or_create(organization=organization, user=user, defaults={"role": role})
        audit.record(by, "organization:member", f"{organization}/{user}", before=old, after=role)
    return True


def namespace(name: str) -> Namespace:
    """Return the namespace of that name, whatever the case. Raises NamespaceNotFound."""
    try:
        return Namespace.objects.select_related("person", "organization").get(name__lower=name.lower())
    except Namespace.DoesNotExist:
        raise NamespaceNotFound(f"There is no person or organisation {name!r}.") from None


def new_token_value() -> str:
    """Return dvt_ + 26 random characters + 6 of a checksum, so that scanners can tell a token from noise."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(26))
    return f"{TOKEN_PREFIX}{body}{_checksum(body)}"


def make_token(
    user: User,
    name: str,
    role: str,
    *,
    value: str = "",
    expires_at: datetime | None = None,
    grants: Mapping[str, str] | None = None,
) -> str:
    """Make a token and return its value, which nobody can read again. Raises ValueInvalid, NameTaken."""
    name = name.strip()
    if not name or len(name) > 100:
        raise ValueInvalid("A token needs a name of 1 to 100 characters.", fix="Name it after where it is used.")
    if role not in Token.Role.values:
        raise ValueInvalid(f"There is no token role {role!r}.", fix=f"Use one of {', '.join(Token.Role.values)}.")
    value = value or new_token_value()
    if len(value) < 12:
        raise ValueInvalid(f"The value of token {name!r} is shorter than 12 characters.", fix="Use a longer one.")
    try:
        with transaction.atomic():
            Token.objects.create(
                user=user,
                name=name,
                role=role,
                sha256=token_digest(value),
                expires_at=expires_at,
                grants={key.lower(): right for key, right in (grants or {}).items()},
            )
            audit.record(user, "token:create", name, after=role)
    except IntegrityError:
        raise NameTaken(f"You already have a token named {name!r}.", fix="Revoke it first, or use another name.") from None
    return value


def revoke_token(user: User, token_id: int) -> None:
    """Delete one of the person's own tokens; unknown ids are fine, because the wish is already true."""
    with transaction.atomic():
        token = user.tokens.filter(pk=token_id).first()
        if token:
            token.delete()
            audit.record(user, "token:revoke", token.name)


def caller_of_token(value: str) -> Caller:
    """Return who uses this token. Raises TokenInvalid if it is unknown, expired, or its owner may not sign in."""
    now = timezone.now()
    token = Token.objects.select_related("user", "user__namespace").filter(sha256=token_digest(value)).first()
    if token is None or not token.user.is_active or (token.expires_at is not None and token.expires_at <= now):
        raise TokenInvalid("Invalid credentials in Authorization header")
    _note_use(token, now)
    return Caller(user=token.user, token=token)


def token_digest(value: str) -> str:
    """Return what is stored of a token. Values carry ≥ 150 random bits, so a plain sha256 is not guessable."""
    return hashlib.sha256(value.encode()).hexdigest()


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
