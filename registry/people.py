"""What may be done with people, organisations and tokens."""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from registry import audit, names, policy, site
from registry.errors import NamespaceNotFound, NameTaken, NotAllowed, RegistryError, TokenInvalid, ValueInvalid
from registry.models import Membership, Namespace, Organization, Token, User
from registry.policy import Caller
from registry.prepared import Prepared

_ALPHABET = string.digits + string.ascii_letters
TOKEN_PREFIX = "dvt_"  # noqa: S105  # a token begins with it, and is none
LAST_USED_EVERY = timedelta(minutes=1)
GRANTS = ("read", "write")
_TOKEN_VALUE = re.compile(r"[!-~]{12,500}")


def register(username: str, *, email: str = "", password: str, full_name: str = "") -> User:
    """Make a person, who asks for it himself, with a namespace of the same name.

    Raises NotAllowed where registration is not open, NameInvalid, NameTaken, ValueInvalid.
    """
    if site.value("registration") != "open":
        raise NotAllowed("Joining this hub needs an invitation.", fix="Ask an administrator for an account.")
    user = _unsaved(username, email, full_name, User.Role.USER)
    check_password(password, user)
    user.set_password(password)
    return _save_new(user, by=user)


def add(
    username: str, *, email: str = "", password: str | None = None, full_name: str = "", role: str = "user"
) -> User:
    """Make a person for the operator of the hub, who answers for the password; without one nobody can sign in.

    Raises NameInvalid, NameTaken, ValueInvalid.
    """
    user = _unsaved(username, email, full_name, role)
    user.set_password(password)  # None makes it unusable
    return _save_new(user, by=None)


def set_profile(user: User, *, full_name: str, email: str, by: User | None) -> bool:
    """Change what a person says of himself; returns whether anything changed. Raises ValueInvalid, NameTaken."""
    new = {"full_name": names.check_text(full_name, "full name", 200), "email": check_email(email)}
    old = {field: getattr(user, field) for field in new}
    if new == old:
        return False
    with _mail_addresses_are_unique(), transaction.atomic():
        User.objects.filter(pk=user.pk).update(**new)
        audit.record(by, "person:profile", user.username, before=old, after=new)
    user.full_name, user.email = new["full_name"], new["email"]
    return True


def set_password(user: User, password: str, *, by: User | None) -> bool:
    """Replace the password, which ends the person's sessions; returns False when it is the one in use."""
    if user.check_password(password):
        return False
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        audit.record(by, "person:password", user.username)
    return True


def change_password(user: User, old: str, new: str) -> None:
    """Replace one's own password, which ends all sessions of that person.

    Raises NotAllowed for a wrong old one, which the face counts as a failed sign-in, and ValueInvalid for a weak one.
    """
    if not user.check_password(old):
        raise NotAllowed("That is not the password you have now.", fix="Ask an administrator if you forgot it.")
    check_password(new, user)
    set_password(user, new, by=user)


def set_role(user: User, role: str, *, by: Caller | None) -> bool:
    """Make somebody a user, moderator or administrator; returns whether anything changed.

    `by=None` is the operator at the command line. Raises ValueInvalid for an unknown role and for the last
    administrator, and what policy.require_admin raises.
    """
    actor = policy.require_admin(by) if by else None
    check_role(role)
    with transaction.atomic():
        if role != User.Role.ADMIN:
            refuse_last_admin(user)
        current = User.objects.select_for_update().get(pk=user.pk)
        if current.role == role:
            return False
        User.objects.filter(pk=user.pk).update(role=role)
        audit.record(actor, "person:role", user.username, before=current.role, after=role)
    user.role = role
    return True


def refuse_last_admin(user: User) -> None:
    """Raise ValueInvalid if without this person nobody could administer the hub.

    Locks all administrators, always in one order and before anybody else: two who dismiss each other wait here.
    """
    admins = User.objects.select_for_update().filter(role=User.Role.ADMIN, is_active=True).order_by("pk")
    if [admin.pk for admin in admins] == [user.pk]:
        raise ValueInvalid(
            f"{user.username} is the only administrator of this hub.", fix="Make somebody else an administrator first."
        )


def check_role(role: str) -> None:
    """Raise ValueInvalid for a role that nobody can have."""
    if role not in User.Role.values:
        raise ValueInvalid(f"There is no role {role!r}.", fix=f"Use one of {', '.join(User.Role.values)}.")


def _unsaved(username: str, email: str, full_name: str, role: str) -> User:
    names.check_namespace(username)
    check_role(role)
    full_name = names.check_text(full_name, "full name", 200)
    return User(username=username, email=check_email(email), full_name=full_name, role=role)


def _save_new(user: User, by: User | None) -> User:
    try:
        with _mail_addresses_are_unique(), transaction.atomic():
            user.namespace = Namespace.objects.create(name=user.username, kind=Namespace.Kind.PERSON)
            user.save()
            audit.record(by, "person:register", user.username, after=user.role)
    except IntegrityError:
        raise NameTaken(f"The name {user.username!r} is already taken.") from None
    return user


@contextmanager
def _mail_addresses_are_unique() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if "user_email_unique" not in str(error):
            raise
        raise NameTaken("This e-mail address is already in use.", fix="Sign in with the other account.") from None


def check_email(email: str) -> str:
    """Return the address without spaces around it, or raise ValueInvalid unless it is empty or looks like one."""
    email = names.check_text(email, "e-mail address", 254)
    try:
        if email:
            validate_email(email)
    except ValidationError:
        raise ValueInvalid(f"{email!r} is not an e-mail address.", fix="Write it as name@example.org.") from None
    return email


def check_password(password: str, user: User) -> None:
    """Raise ValueInvalid with every reason why the password is too weak."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValueInvalid(
            f"This password is not allowed: {' '.join(error.messages)}", fix="Choose at least 12 characters."
        ) from None


def found(name: str, *, by: User | None, full_name: str = "", private_by_default: bool = False) -> Organization:
    """Make an organisation whose first administrator is `by`; the operator's have the members he names.

    Raises NameInvalid, NameTaken, ValueInvalid.
    """
    names.check_namespace(name)
    full_name = names.check_text(full_name, "full name", 200)
    try:
        with transaction.atomic():
            namespace = Namespace.objects.create(name=name, kind=Namespace.Kind.ORGANIZATION)
            organization = Organization.objects.create(
                namespace=namespace, full_name=full_name, private_by_default=private_by_default
            )
            if by is not None:
                Membership.objects.create(organization=organization, user=by, role=Membership.Role.ADMIN)
            audit.record(by, "organization:create", name)
    except IntegrityError:
        raise NameTaken(f"The name {name!r} is already taken.") from None
    return organization


def set_organization(organization: Organization, *, full_name: str, private_by_default: bool, by: User | None) -> bool:
    """Change an organisation's name for people and its default visibility; returns whether anything changed."""
    new = {"full_name": names.check_text(full_name, "full name", 200), "private_by_default": private_by_default}
    old = {field: getattr(organization, field) for field in new}
    if new == old:
        return False
    with transaction.atomic():
        Organization.objects.filter(pk=organization.pk).update(**new)
        audit.record(by, "organization:change", str(organization), before=old, after=new)
    return True


def check_member_role(role: str) -> None:
    """Raise ValueInvalid for a role that no member of an organisation can have."""
    if role not in Membership.Role.values:
        raise ValueInvalid(f"There is no role {role!r}.", fix=f"Use one of {', '.join(Membership.Role.values)}.")


def set_member(organization: Organization, user: User, role: str, *, by: User | None) -> bool:
    """Give a person a role in an organisation; returns whether anything changed. Raises ValueInvalid."""
    check_member_role(role)
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
    value = value or new_token_value()
    row = token_row(name, role, value, expires_at, grants or {})
    try:
        with transaction.atomic():
            token = Token.objects.create(user=user, **row)
            audit.record(user, "token:create", f"{user}/{token.name}", after=role)
    except IntegrityError as error:
        raise _token_refusal(error, row["name"]) from None
    return value


def put_token(
    user: User, name: str, role: str, *, value: str, expires_at: datetime | None, grants: Mapping[str, str]
) -> bool:
    """Make or change the person's token of that name for the operator; returns whether anything changed.

    Raises ValueInvalid, also when the value is another token's.
    """
    row = token_row(name, role, value, expires_at, grants)
    old = user.tokens.filter(name=row["name"]).first()
    if old is not None and all(getattr(old, field) == wanted for field, wanted in row.items()):
        return False
    try:
        with transaction.atomic():
            Token.objects.update_or_create(user=user, name=row["name"], defaults=row)
            audit.record(None, "token:change" if old else "token:create", f"{user}/{row['name']}", after=role)
    except IntegrityError as error:
        raise _token_refusal(error, row["name"]) from None
    return True


def token_row(
    name: str, role: str, value: str, expires_at: datetime | None, grants: Mapping[str, str]
) -> dict[str, Any]:
    """Return the columns of such a token, or raise ValueInvalid or NameInvalid for one that cannot be."""
    if not names.check_text(name, "token's name", 100):
        raise ValueInvalid("A token needs a name of 1 to 100 characters.", fix="Name it after where it is used.")
    if role not in Token.Role.values:
        raise ValueInvalid(f"There is no token role {role!r}.", fix=f"Use one of {', '.join(Token.Role.values)}.")
    if not _TOKEN_VALUE.fullmatch(value):
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
        "sha256": token_digest(value),
        "expires_at": expires_at,
        "grants": {full_name.lower(): right for full_name, right in grants.items()},
    }


def _token_refusal(error: IntegrityError, name: str) -> RegistryError:
    if "token.sha256" in str(error) or "token_sha256" in str(error):
        return ValueInvalid(f"The value of token {name!r} is already another token's.", fix="Use a value of its own.")
    return NameTaken(f"You already have a token named {name!r}.", fix="Revoke it first, or use another name.")


def revoke_token(user: User, token_id: int) -> None:
    """Delete one of the person's own tokens; unknown ids are fine, because the wish is already true."""
    _revoke(user.tokens.filter(pk=token_id), by=user)


def revoke_found(values: Iterable[str]) -> None:
    """Delete tokens that somebody found lying about; who knows a value may end it, and learns nothing by trying."""
    _revoke(Token.objects.filter(sha256__in=[token_digest(value) for value in values]), by=None)


def _revoke(tokens: QuerySet[Token], by: User | None) -> None:
    with transaction.atomic():
        for token in tokens.select_related("user"):
            token.delete()
            audit.record(by, "token:revoke", f"{token.user}/{token.name}")


def caller_of_token(value: str) -> Caller:
    """Return who uses this token. Raises TokenInvalid if it is unknown, expired, or its owner may not sign in."""
    return _caller(_TOKEN.first(token_digest(value)))


def caller_of_token_id(token_id: int) -> Caller:
    """Return who uses the token with this id, as `caller_of_token` does, for who proved before that he has it."""
    return _caller(Token.objects.filter(pk=token_id).select_related("user", "user__namespace").first())


_TOKEN = Prepared(lambda sha256: Token.objects.filter(sha256=sha256).select_related("user", "user__namespace"), str)


def _caller(token: Token | None) -> Caller:
    now = timezone.now()
    if token is None or not token.user.is_active or (token.expires_at is not None and token.expires_at <= now):
        raise TokenInvalid("Invalid credentials in Authorization header")
    _note_use(token, now)
    return Caller(user=token.user, token=token)


def token_digest(value: str) -> str:
    """Return what is stored of a token. Our values carry ≥ 150 random bits, so a plain sha256 is not guessable."""
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
