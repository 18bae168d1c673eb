"""Tokens of the directory (SCIM): made and revoked by administrators of the hub, beside the one of the environment."""

import hmac
import secrets
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from features.sso.models import DirectoryToken
from registry.kernel import audit, policy
from registry.kernel.errors import QuotaExceeded, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import User
from registry.people.tokens.tokens import LAST_USED_EVERY, digest

PREFIX = "dvs_"
READABLE = 10  # characters of a value that are kept: PREFIX and 6 more
MAX_DAYS = 731
MAX_TOKENS = 10


def create(name: str, days: int, by: Caller) -> str:
    """Create a token and return its value, which nobody can read again.

    Raises ValueInvalid, QuotaExceeded and what policy.require_admin raises.
    """
    user = policy.require_admin(by)
    name = names.check_text(name, "token's name", 100, "name")
    if not name:
        raise ValueInvalid("The token needs a name.", "Name it after the directory that uses it.", "name")
    if not 1 <= days <= MAX_DAYS:
        raise ValueInvalid(f"A token cannot be valid for {days} days.", fix=f"Use 1 to {MAX_DAYS} days.")
    value = f"{PREFIX}{secrets.token_urlsafe(32)}"
    expires_at = timezone.now() + timedelta(days=days)
    with transaction.atomic():
        if _in_use().count() >= MAX_TOKENS:
            raise QuotaExceeded(f"There are already {MAX_TOKENS} tokens.", fix="Revoke one first.")
        row = DirectoryToken.objects.create(
            name=name, prefix=value[:READABLE], sha256=digest(value), by=user, expires_at=expires_at
        )
        audit.record(user, "directory-token:create", str(row), after={"expires_at": expires_at.isoformat()})
    return value


def list_all(by: Caller) -> QuerySet[DirectoryToken]:
    """Return the tokens, the newest first, also those that have ended. Raises what policy.require_admin raises."""
    policy.require_admin(by)
    return DirectoryToken.objects.select_related("by")


def revoke(number: int, by: Caller) -> None:
    """Delete a token, which ends at once; a no-op if there is none. Raises what policy.require_admin raises."""
    _revoke(DirectoryToken.objects.filter(pk=number), policy.require_admin(by))


def revoke_values(values: Iterable[str]) -> None:
    """Delete the tokens with these values, which leaked."""
    _revoke(DirectoryToken.objects.filter(sha256__in=[digest(value) for value in values]), None)


def _revoke(rows: QuerySet[DirectoryToken], by: User | None) -> None:
    with transaction.atomic():
        for row in rows.select_for_update(of=("self",)):
            row.delete()
            audit.record(by, "directory-token:revoke", str(row), before={"expires_at": row.expires_at.isoformat()})


def is_expected() -> bool:
    """Return whether some directory may ask: there is a token in the environment or one that has not ended."""
    return bool(settings.SCIM_TOKEN) or _in_use().exists()


def is_directory(value: str) -> bool:
    """Return whether this is the token of a directory, and note the use of one that an administrator made."""
    configured: str = settings.SCIM_TOKEN
    if configured and hmac.compare_digest(value.encode(), configured.encode()):
        return True
    row = _in_use().filter(sha256=digest(value)).first()
    if row is None:
        return False
    now = timezone.now()
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - LAST_USED_EVERY)
    DirectoryToken.objects.filter(stale, pk=row.pk).update(last_used_at=now)
    return True


def _in_use() -> QuerySet[DirectoryToken]:
    return DirectoryToken.objects.filter(expires_at__gt=timezone.now())
