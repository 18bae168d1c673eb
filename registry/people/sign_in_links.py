"""Sign-in links that the operator makes for an administrator: for hubs whose identity provider is down.

A link is a signed text; nothing is stored. It works for ten minutes, and once: signing in changes what it was made of.
"""

from datetime import timedelta

from django.core import signing
from django.urls import reverse
from django.utils import timezone

from registry.kernel import audit
from registry.kernel.errors import NotAllowed
from registry.kernel.texts.phrases import absolute
from registry.models import User

LIFE = timedelta(minutes=10)
_SALT = "dovetail.sign-in-link"


def make(user: User) -> str:
    """Return a link for an administrator. Raises NotAllowed for anybody else."""
    if user.role != User.Role.ADMIN or not user.is_active:
        raise NotAllowed(f"{user.username} is no administrator of this hub.", fix="Name one, or change the role first.")
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
