"""Downloads of a repository by the hour, kept for the last days."""

from django.db import models

from registry.models.repositories import Repository


class HourlyDownloads(models.Model):
    """The downloads of one repository that began within one hour."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="hourly_downloads")
    hour = models.DateTimeField()
    count = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "hour"], name="hourly_downloads_unique")]
        indexes = [models.Index(fields=["hour"], name="hourly_downloads_by_hour")]
