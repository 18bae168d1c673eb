"""Keeps how often each version was downloaded on each day, in the transaction that folds the counts of repositories."""

from collections.abc import Mapping
from datetime import date, timedelta

from django.utils import timezone

from features.version_downloads.models import VersionDownloads
from registry.kernel.seams import Feature
from registry.repos.download_counts import execute_values

KEPT = timedelta(days=92)  # so a version has at most so many rows

ADD = """
INSERT INTO registry_versiondownloads (repository_id, day, oid, count) VALUES {values}
ON CONFLICT (repository_id, day, oid) DO UPDATE SET count = registry_versiondownloads.count + excluded.count
"""


def add(counts: Mapping[tuple[int, str, date], int]) -> None:
    """Add counts to the days of their versions, and delete the days of these repositories that are older than KEPT."""
    named = sorted((pk, day.isoformat(), oid, count) for (pk, oid, day), count in counts.items() if oid)
    execute_values(ADD, named)
    oldest = timezone.now().date() - KEPT
    VersionDownloads.objects.filter(repository__in={pk for pk, *_ in named}, day__lt=oldest).delete()


FEATURE = Feature(downloaded=add)
