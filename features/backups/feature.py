"""Backups in the domain: the age of the newest one."""

from collections.abc import Iterator

from django.utils import timezone

from features.backups import backup
from registry.kernel.seams import Feature, Gauge


def _counts() -> Iterator[Gauge]:
    """Yield the age of the newest backup; without one no number: not every hub is backed up by our command."""
    if made_at := backup.last_made_at():
        seconds = max((timezone.now() - made_at).total_seconds(), 0.0)
        yield Gauge(
            "dovetail_backup_age_seconds",
            "Since `manage.py backup` last ended well, counted about a minute ago.",
            seconds,
        )


FEATURE = Feature(counts=_counts)
