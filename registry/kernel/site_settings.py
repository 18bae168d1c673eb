"""Site settings: their names, choices and first values, and how a running hub follows a change."""

import time

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registry.kernel import audit
from registry.kernel.errors import ValueInvalid
from registry.models import PlaneName, SiteSetting, User

CHOICES: dict[str, tuple[str, ...]] = {
    "registration": ("open", "invite", "closed"),
    # Links to organisations, while registration is by invitation, let in people with an account, or anybody.
    "organization_invitations": ("accounts", "anybody"),
    "pull_policy": ("open", "verified"),
    "throttle": ("on", "off"),
    "uploads": ("on", "off"),
    "new_repositories": ("on", "off"),
    "read_only": ("off", "on"),
    "transparency": ("public", "staff"),
    "case_hours": ("24", "4", "8", "48", "72", "168", "0"),  # within which moderators decide a case; 0: no target
    "tombstones": ("off", "on"),  # whether strangers are told of a public repository that moderators removed
    "bin_days": ("30", "90", "7", "0"),  # how long a deleted repository can be restored; 0: not at all
}
FOLLOW_SECONDS = 5.0

# The values read last, and when. Replaced as a whole and never changed, because many threads read it without a lock.
_cache: tuple[dict[str, str], float] = ({}, 0.0)


def get_setting(name: str) -> str:
    """Return the value in force; other processes see a change within FOLLOW_SECONDS."""
    return _values()[name]


def stored_text(name: str) -> str:
    """Return a text that is kept and cached beside the settings, such as the banner; empty where there is none."""
    return _values().get(name, "")


def _values() -> dict[str, str]:
    global _cache
    values, read_at = _cache
    if not values or time.monotonic() - read_at > FOLLOW_SECONDS:
        stored = dict(SiteSetting.objects.values_list("name", "value"))
        first = {key: stored.get(key) or getattr(settings, f"FIRST_{key.upper()}") for key in CHOICES}
        values = stored | first
        _cache = (values, time.monotonic())
    return values


def check_setting(name: str, new: str) -> None:
    """Raise ValueInvalid for a setting that does not exist or a value that it cannot have."""
    if name not in CHOICES:
        raise ValueInvalid(f"There is no site setting {name!r}.", fix=f"Known: {', '.join(sorted(CHOICES))}.")
    if new not in CHOICES[name]:
        raise ValueInvalid(f"{name} cannot be {new!r}.", fix=f"Use one of {', '.join(CHOICES[name])}.")


def change_setting(name: str, new: str, by: User | None) -> bool:
    """Set a value and log it; returns whether anything changed. Raises ValueInvalid for an unknown name or value."""
    check_setting(name, new)
    clear_cache()
    old = get_setting(name)
    if old == new:
        return False
    with transaction.atomic():
        SiteSetting.objects.update_or_create(name=name, defaults={"value": new})
        audit.record(by, "site:change", name, before=old, after=new)
        if name == "pull_policy":  # not by plane_requests, which stands above; what is due already keeps its turn
            PlaneName.objects.filter(due_at__gt=timezone.now()).update(due_at=timezone.now())
    clear_cache()
    return True


def clear_cache() -> None:
    """Forget the values, so that the next call reads them again."""
    global _cache
    _cache = ({}, 0.0)
