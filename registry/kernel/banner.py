"""The banner: a sentence of the operator that every page shows for a time."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from registry.kernel import audit, site_settings
from registry.kernel.errors import ValueInvalid
from registry.kernel.texts import names
from registry.models import SiteSetting, User

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

    def document(self) -> dict[str, Any]:
        """Return the banner as JSON."""
        starts, ends = (at.isoformat() if at else None for at in (self.starts_at, self.ends_at))
        return {"text": self.text, "level": self.level, "starts_at": starts, "ends_at": ends}

    def is_due(self, now: datetime) -> bool:
        """Return whether pages show it at this time."""
        return (self.starts_at is None or self.starts_at <= now) and (self.ends_at is None or now < self.ends_at)


def stored() -> Banner | None:
    """Return the banner that the operator has set, also before and after its time."""
    text = site_settings.stored_text(NAME)
    if not text:
        return None
    members = json.loads(text)
    starts, ends = (datetime.fromisoformat(at) if at else None for at in (members["starts_at"], members["ends_at"]))
    return Banner(members["text"], members["level"], starts, ends)


def current() -> Banner | None:
    """Return the banner that is shown now; read from the site settings, which are cached."""
    banner = stored()
    return banner if banner and banner.is_due(timezone.now()) else None


def check(banner: Banner) -> Banner:
    """Return the banner without spaces around its text. Raises ValueInvalid."""
    text = names.check_text(banner.text, "text", MAX_TEXT)
    if not text:
        raise ValueInvalid("A banner needs a text.", fix="Write a sentence, or remove the banner.")
    if banner.level not in LEVELS:
        raise ValueInvalid(f"A banner cannot be of level {banner.level!r}.", fix=f"Use one of {', '.join(LEVELS)}.")
    if banner.starts_at and banner.ends_at and banner.ends_at <= banner.starts_at:
        raise ValueInvalid("The banner would end before it starts.", fix="Choose a later end.")
    return Banner(text, banner.level, banner.starts_at, banner.ends_at)


def change(banner: Banner | None, by: User | None) -> bool:
    """Set the banner, or take it away; returns whether anything changed. Raises ValueInvalid."""
    new = check(banner) if banner else None
    site_settings.clear_cache()
    old = stored()
    if old == new:
        return False
    before, after = (one.document() if one else None for one in (old, new))
    with transaction.atomic():
        SiteSetting.objects.update_or_create(name=NAME, defaults={"value": json.dumps(after) if after else ""})
        audit.record(by, "site:banner", NAME, before=before, after=after)
    site_settings.clear_cache()
    return True
