"""Sign-ins: the log of good and bad ones, notices of those from new places, links instead of one, lost second factors.

In the audit log each good sign-in stands, and bad ones with their count. The operator makes a link for an administrator
of a hub whose identity provider is down: a signed text, of which nothing is stored. It works for ten minutes, and once:
signing in changes what it was made of.
"""

import hashlib
from datetime import timedelta
from ipaddress import ip_address, ip_network

from allauth.mfa.models import Authenticator
from django.core import signing
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from registry.kernel import audit, outbox, policy
from registry.kernel.errors import NotAllowed
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller
from registry.kernel.texts.phrases import absolute
from registry.models import SignInPlace, User

EACH_UP_TO = 5
MAX_PLACES = 50  # kept of one person; the place that was used least recently is forgotten


def record(user: User, methods: list[str], *, browser: str = "") -> None:
    """Log that a person signed in, with what and by which browser; record an event if the place is new."""
    with transaction.atomic():
        audit.record(user, "account:sign-in", user.username, about=user, after=methods)
        if browser and _is_new_place(user, browser):
            sender = audit.client.get()
            place = audit.shorten_address(sender.address) if sender else ""
            outbox.record(Kind.SIGNED_IN, None, person=user.pk, browser=browser, address=place)


def _is_new_place(user: User, browser: str) -> bool:
    """Note the place of a sign-in; return whether the person has used others and never this one."""
    places = SignInPlace.objects.filter(user=user)
    had_any = places.exists()
    _, is_new = SignInPlace.objects.update_or_create(
        user=user, sha256=_digest(browser), defaults={"used_at": timezone.now()}
    )
    if is_new:
        places.exclude(pk__in=list(places.order_by("-used_at").values_list("pk", flat=True)[:MAX_PLACES])).delete()
    return is_new and had_any


def _digest(browser: str) -> str:
    """Return the digest of a browser and a network: addresses change within one, and versions of browsers do too."""
    sender = audit.client.get()
    try:
        address = ip_address(sender.address if sender else "")
        network = str(ip_network((address, 24 if address.version == 4 else 48), strict=False))
    except ValueError:
        network = ""
    return hashlib.sha256(f"{browser}\n{network}".encode()).hexdigest()


def record_failure(name: str, *, count: int, from_address: int) -> None:
    """Log wrong credentials for a name: `count` of them today, `from_address` of them by this address.

    Each of the first few has a row, then every doubling: thousands of guesses must not become thousands of rows. Names
    that nobody has are counted by address alone, because a guesser can invent any number of them.
    """
    user = User.objects.filter(username__lower=name.lower()).first()
    number = count if user else from_address
    if number <= EACH_UP_TO or number & (number - 1) == 0:
        name = user.username if user else "(nobody)"
        counts = {"wrong_today": count, "by_this_address": from_address}
        audit.record(None, "account:sign-in-failed", name, about=user, after=counts)


LIFE = timedelta(minutes=10)
_SALT = "dovetail.sign-in-link"


def make(user: User) -> str:
    """Return a link for an administrator. Raises NotAllowed for anybody else."""
    if user.role != User.Role.ADMIN or not user.is_active:
        raise NotAllowed(
            f"{user.username} is not an administrator of this hub.",
            fix="Choose an administrator, or change the role first.",
        )
    audit.record(None, "account:sign-in-link", user.username, about=user)
    return absolute(reverse("sign-in-once", args=[signing.dumps([user.pk, _state(user)], salt=_SALT)]))


def find(ticket: str) -> User | None:
    """Return the administrator whom a link signs in, or None if it is not good any more."""
    try:
        number, state = signing.loads(ticket, salt=_SALT, max_age=LIFE)
    except signing.BadSignature:
        return None
    user = User.objects.filter(pk=number, role=User.Role.ADMIN, is_active=True).first()
    return user if user and _state(user) == state else None


def use(ticket: str) -> User | None:
    """Return the administrator whom a link signs in, and use it up; None if it is not good any more."""
    user, now = find(ticket), timezone.now()
    if user is None or not User.objects.filter(pk=user.pk, last_login=user.last_login).update(last_login=now):
        return None
    user.last_login = now
    return user


def _state(user: User) -> str:
    return user.last_login.isoformat() if user.last_login else ""


def remove_all(user: User, by: Caller | None, *, reason: str, note: str = "") -> int:
    """Remove passkeys, app and recovery codes; return how many. The password alone signs in afterwards.

    `by=None` is the operator at the command line. Raises what policy.require_admin raises.
    """
    actor = policy.require_admin(by) if by else None
    with transaction.atomic():
        kinds = sorted(Authenticator.objects.filter(user=user).values_list("type", flat=True))
        if kinds:
            Authenticator.objects.filter(user=user).delete()
            audit.record(
                actor, "account:factors-remove", user.username, about=user, reason=reason, note=note, before=kinds
            )
    return len(kinds)
