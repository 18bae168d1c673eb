"""Second factors of a person who lost them all: the operator or an administrator removes them."""

from allauth.mfa.models import Authenticator
from django.db import transaction

from registry.kernel import audit, policy
from registry.kernel.policy import Caller
from registry.models import User


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
