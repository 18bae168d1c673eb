"""Sign-ins of programs (RFC 8628): begin one, approve or deny it in a browser, fetch the token."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from features.device_sign_in.models import DeviceLogin
from registry.kernel import audit, policy, refusals
from registry.kernel.errors import Invalid, Missing, SessionRequired, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.seams import Feature
from registry.models import User
from registry.people.tokens import tokens

SECONDS = 900
INTERVAL_SECONDS = 5
TOKEN_DAYS = 30
MOST_WAITING = 10_000  # anybody may begin one
ROLES = ("write", "read")
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, so that no code is a word; 20^8 codes
State = DeviceLogin.State


class SignInUnfinished(Invalid):
    """A device gets no token yet; `error` among the facts is the code of RFC 8628, section 3.5."""

    code = "sign-in-unfinished"
    default_fix = "Open the address that the program shows and approve its code."


class SignInNotFound(Missing):
    code = "sign-in-not-found"
    default_fix = "Enter the code again, or start a new sign-in; a code is valid for 15 minutes."


@dataclass(frozen=True)
class StartedSignIn:
    """The program's own secret, and the code that its user types."""

    device_code: str
    user_code: str


def begin_sign_in(client: str = "") -> StartedSignIn:
    """Begin a sign-in; `client` is the program's name. Where too many wait, it takes the place of the oldest."""
    now = timezone.now()
    DeviceLogin.objects.filter(expires_at__lte=now).delete()
    if (too_many := DeviceLogin.objects.count() + 1 - MOST_WAITING) > 0:
        oldest = DeviceLogin.objects.filter(state=State.WAITING).order_by("pk").values_list("pk", flat=True)[:too_many]
        DeviceLogin.objects.filter(pk__in=list(oldest), state=State.WAITING).delete()
    sign_in = StartedSignIn(secrets.token_urlsafe(32), "".join(secrets.choice(_LETTERS) for _ in range(8)))
    DeviceLogin.objects.create(
        sha256=tokens.digest(sign_in.device_code),
        user_code=sign_in.user_code,
        client="".join(char for char in client if char.isprintable())[:100],
        expires_at=now + timedelta(seconds=SECONDS),
    )
    return sign_in


def format_code(user_code: str) -> str:
    """Return a code as people read it: BCDF-GHJK."""
    return f"{user_code[:4]}-{user_code[4:]}"


def find_waiting(typed: str) -> DeviceLogin:
    """Return the sign-in that waits under a code, ignoring case and separators. Raises SignInNotFound."""
    code = "".join(char for char in typed.upper() if char in _LETTERS)
    sign_in = DeviceLogin.objects.filter(user_code=code, state=State.WAITING, expires_at__gt=timezone.now()).first()
    if sign_in is None:
        raise SignInNotFound(f"No sign-in is waiting for the code {typed[:20]!r}.")
    return sign_in


def approve(typed: str, role: str, by: Caller) -> DeviceLogin:
    """Let the program fetch a token of the caller.

    Raises SignInNotFound, SessionRequired, ValueInvalid, and SecondFactorRequired where the hub requires one.
    """
    if role not in ROLES:
        raise ValueInvalid(f"A program cannot sign in with the role {role[:20]!r}.", fix="Use read or write.")
    return _answer(typed, by, state=State.APPROVED, role=role)


def deny(typed: str, by: Caller) -> DeviceLogin:
    """Deny the program its sign-in. Raises SignInNotFound, SessionRequired."""
    return _answer(typed, by, state=State.DENIED)


def _answer(typed: str, by: Caller, **answer: str) -> DeviceLogin:
    user = policy.require_person(by, "answer a program's sign-in", publishes=False)
    if answer["state"] == State.APPROVED and (refusal := refusals.lacks_factor(user)):
        raise refusal
    if by.token is not None:
        raise SessionRequired("Sign-ins can only be approved in a browser session, not with a token.")
    sign_in = find_waiting(typed)
    with transaction.atomic():
        if not DeviceLogin.objects.filter(pk=sign_in.pk, state=State.WAITING).update(user=user, **answer):
            raise SignInNotFound(f"The code {typed[:20]!r} has already been used.")
        audit.record(
            user, f"sign-in:{answer['state']}", format_code(sign_in.user_code), about=user, note=sign_in.client
        )
    return sign_in


def fetch_token(device_code: str) -> str:
    """Return the token of an approved sign-in, once. Raises SignInUnfinished with the `error` code for the program."""
    now = timezone.now()
    with transaction.atomic():
        rows = DeviceLogin.objects.select_for_update(of=("self",)).select_related("user")
        sign_in = rows.filter(sha256=tokens.digest(device_code)).first()
        if sign_in is None:
            raise _unfinished("invalid_grant", "This device code is unknown, or was used already.")
        if sign_in.expires_at <= now:
            raise _unfinished("expired_token", "This device code has expired.")
        if sign_in.state == State.DENIED:
            raise _unfinished("access_denied", "The sign-in was denied.")
        if sign_in.state == State.APPROVED:
            return _token(sign_in)
        too_soon = sign_in.polled_at is not None and (now - sign_in.polled_at).total_seconds() < INTERVAL_SECONDS - 1
        DeviceLogin.objects.filter(pk=sign_in.pk).update(polled_at=now)
    raise _unfinished("slow_down" if too_soon else "authorization_pending", "Nobody has answered this sign-in yet.")


def _token(sign_in: DeviceLogin) -> str:
    assert sign_in.user is not None, "the database keeps approvals by nobody"
    if not sign_in.user.is_active:
        raise _unfinished("access_denied", "The person who approved this may not sign in any more.")
    sign_in.delete()
    name = f"hf {sign_in.created_at:%Y-%m-%d} {sign_in.user_code}"
    expires_at = timezone.now() + timedelta(days=TOKEN_DAYS)
    return tokens.create_token(sign_in.user, name, sign_in.role, expires_at=expires_at)


def _unfinished(word: str, sentence: str) -> SignInUnfinished:
    return SignInUnfinished(sentence, error=word)


def _forget(user: User) -> None:
    DeviceLogin.objects.filter(user=user).delete()


FEATURE = Feature(forget=_forget, tokens_revoked=_forget)
