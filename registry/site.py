"""Settings of the site: their names, choices and first values, and how a running hub follows a change."""

import time

from django.conf import settings
from django.db import transaction

from registry import audit
from registry.errors import ValueInvalid
from registry.models import SiteSetting, User

CHOICES: dict[str, tuple[str, ...]] = {
    "registration": ("open", "invite", "closed"),
    "pull_policy": ("open", "verified"),
    "throttle": ("on", "off"),
}
FOLLOW_SECONDS = 5.0

_cache: dict[str, str] = {}
_read_at = 0.0


def value(name: str) -> str:
    """Return the value in force; other processes see a change within FOLLOW_SECONDS."""
    global _cache, _read_at
    if not _cache or time.monotonic() - _read_at > FOLLOW_SECONDS:
        stored = dict(SiteSetting.objects.values_list("name", "value"))
        _cache = {key: stored.get(key) or getattr(settings, f"FIRST_{key.upper()}") for key in CHOICES}
        _read_at = time.monotonic()
    return _cache[name]


def change(name: str, new: str, by: User | None) -> bool:
    """Set a value and log it; returns whether anything changed. Raises ValueInvalid for an unknown name or value."""
    if name not in CHOICES:
        raise ValueInvalid(f"There is no site setting {name!r}.", fix=f"Known: {', '.join(sorted(CHOICES))}.")
    if new not in CHOICES[name]:
        raise ValueInvalid(f"{name} cannot be {new!r}.", fix=f"Use one of {', '.join(CHOICES[name])}.")
    forget()
    old = value(name)
    if old == new:
        return False
    with transaction.atomic():
        SiteSetting.objects.update_or_create(name=name, defaults={"value": new})
        audit.record(by, "site:change", name, before=old, after=new)
    forget()
    return True


def forget() -> None:
    """Read the settings anew at the next question."""
    global _read_at
    _read_at = 0.0
    _cache.clear()
