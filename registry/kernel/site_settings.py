"""Site settings: their names, choices and first values, how a running hub follows a change, switches and the banner."""

import json
import time
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from registry.kernel import audit, seams
from registry.kernel.errors import HubReadOnly, NewRepositoriesOff, UploadsOff, ValueInvalid
from registry.kernel.texts import names
from registry.models import SiteSetting, User

CHOICES: dict[str, tuple[str, ...]] = {
    "registration": ("open", "invite", "closed"),
    # Links to organisations, while registration is by invitation, let in people with an account, or anybody.
    "organization_invitations": ("accounts", "anybody"),
    "second_factor": ("optional", "required"),  # of people who publish, or make tokens
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
FOLLOW_SECONDS = 1.0

# The values read last, and when. Replaced as a whole and never changed, because many threads read it without a lock.
_cache: tuple[dict[str, str], float] = ({}, 0.0)


def get_setting(name: str) -> str:
    """Return the value in force; other processes see a change within FOLLOW_SECONDS, and at their next `read_again`."""
    return _values()[name]


def stored_text(name: str) -> str:
    """Return a text that is kept and cached beside the settings, such as the banner; empty where there is none."""
    return _values().get(name, "")


def read_again() -> dict[str, str]:
    """Read all values from the database: whatever changes something asks it first, so that a switch holds at once."""
    global _cache
    read_at = time.monotonic()
    stored = dict(SiteSetting.objects.values_list("name", "value"))
    values = stored | {key: stored.get(key) or getattr(settings, f"FIRST_{key.upper()}") for key in CHOICES}
    if read_at >= _cache[1]:  # else another thread has asked later, and may know of a change since
        _cache = (values, read_at)
    return values


def _values() -> dict[str, str]:
    values, read_at = _cache
    return values if values and time.monotonic() - read_at <= FOLLOW_SECONDS else read_again()


def check_setting(name: str, new: str) -> None:
    """Raise ValueInvalid for a setting that does not exist or a value that it cannot have."""
    if name not in CHOICES:
        raise ValueInvalid(f"Unknown site setting {name!r}.", fix=f"Use one of {', '.join(sorted(CHOICES))}.")
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
        if name == "pull_policy":
            seams.change_pulls(Q())
    clear_cache()
    return True


def clear_cache() -> None:
    """Forget the values, so that the next call reads them again."""
    global _cache
    _cache = ({}, time.monotonic())


def require_writable() -> None:
    """Raise HubReadOnly while the hub takes no writes."""
    if get_setting("read_only") == "on":
        raise HubReadOnly("This hub is read-only at the moment; nothing was changed.")


def require_uploads() -> None:
    """Raise UploadsOff while the hub takes no files, and HubReadOnly while it takes no writes."""
    require_writable()
    if get_setting("uploads") == "off":
        raise UploadsOff("This hub does not accept uploads at the moment; nothing was changed.")


def require_new_repositories() -> None:
    """Raise NewRepositoriesOff while nobody may create repositories here."""
    if get_setting("new_repositories") == "off":
        raise NewRepositoriesOff("This hub does not accept new repositories at the moment.")


LEVELS = ("information", "warning", "outage")
MAX_TEXT = 500
NAME = "banner"


@dataclass(frozen=True, slots=True)
class Banner:
    """A text with its level, and the time in which it is shown; None: from now on, or until it is taken away."""

    text: str
    level: str = "information"
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def document(self) -> dict[str, str | None]:
        """Return the banner as JSON."""
        starts, ends = (at.isoformat() if at else None for at in (self.starts_at, self.ends_at))
        return {"text": self.text, "level": self.level, "starts_at": starts, "ends_at": ends}

    def is_due(self, now: datetime) -> bool:
        """Return whether pages show it at this time."""
        return (self.starts_at is None or self.starts_at <= now) and (self.ends_at is None or now < self.ends_at)


def stored_banner() -> Banner | None:
    """Return the banner that the operator has set, also before and after its time."""
    text = stored_text(NAME)
    if not text:
        return None
    members = json.loads(text)
    starts, ends = (datetime.fromisoformat(at) if at else None for at in (members["starts_at"], members["ends_at"]))
    return Banner(members["text"], members["level"], starts, ends)


def current_banner() -> Banner | None:
    """Return the banner that is shown now; read from the site settings, which are cached."""
    banner = stored_banner()
    return banner if banner and banner.is_due(timezone.now()) else None


def check_banner(banner: Banner) -> Banner:
    """Return the banner without spaces around its text. Raises ValueInvalid."""
    text = names.check_text(banner.text, "text", MAX_TEXT)
    if not text:
        raise ValueInvalid("A banner needs a text.", fix="Write a text, or remove the banner.")
    if banner.level not in LEVELS:
        raise ValueInvalid(f"A banner cannot be of level {banner.level!r}.", fix=f"Use one of {', '.join(LEVELS)}.")
    if banner.starts_at and banner.ends_at and banner.ends_at <= banner.starts_at:
        raise ValueInvalid("The banner would end before it starts.", fix="Choose a later end.")
    return Banner(text, banner.level, banner.starts_at, banner.ends_at)


def change_banner(banner: Banner | None, by: User | None) -> bool:
    """Set the banner, or take it away; returns whether anything changed. Raises ValueInvalid."""
    new = check_banner(banner) if banner else None
    clear_cache()
    old = stored_banner()
    if old == new:
        return False
    before, after = (one.document() if one else None for one in (old, new))
    with transaction.atomic():
        SiteSetting.objects.update_or_create(name=NAME, defaults={"value": json.dumps(after) if after else ""})
        audit.record(by, "site:banner", NAME, before=before, after=after)
    clear_cache()
    return True
