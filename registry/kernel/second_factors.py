"""Conditions on second factors: people who have one, and memberships in force where an organisation requires one."""

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, Q

from registry.models import User

_FACTORS = Authenticator.objects.exclude(type=Authenticator.Type.RECOVERY_CODES)


def has_second_factor(user: User) -> bool:
    """Return whether the person has an authenticator app or a passkey."""
    return bool(_FACTORS.filter(user=user).exists())


def owner_has_factor() -> Exists:
    """Return `has_second_factor` as a condition on rows that belong to a person as their `user`."""
    return Exists(_FACTORS.filter(user=OuterRef("user")))


def in_force() -> Q:
    """Return the condition on memberships that they count: no second factor is required, or the person has one."""
    return Q(organization__requires_second_factor=False) | Q(owner_has_factor())
