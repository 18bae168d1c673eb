"""Downloads of a repository: counts that wait to be folded, and the sums of days."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.repos.repositories import Repository


class CountedDownloads(models.Model):
    """Downloads that one process counted within seconds; rows are only added, until download_counts folds them.

    The repository is a number: it may be deleted meanwhile, and no foreign key has to be looked up.
    """

    repository = models.BigIntegerField()
    at = models.DateTimeField(default=timezone.now, db_default=Now())
    count = models.PositiveIntegerField()


class DailyDownloads(models.Model):
    """The downloads of one repository on one day (UTC); of days long past, those of a month on its first day.

    There is no constraint of the database: code of the release before deletes repositories without these rows.
    """

    pk = models.CompositePrimaryKey("repository_id", "day")
    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, related_name="daily_downloads", db_constraint=False, db_index=False
    )
    day = models.DateField()
    count = models.PositiveIntegerField(default=0, db_default=0)


class HourlyDownloads(models.Model):
    """The downloads of one repository within one hour: given up, written by code of the release before alone.

    A later release drops the table. Until then its rows are deleted with their repository, and after three days.
    """

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="hourly_downloads")
    hour = models.DateTimeField()
    count = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "hour"], name="hourly_downloads_unique")]
        indexes = [models.Index(fields=["hour"], name="hourly_downloads_by_hour")]
