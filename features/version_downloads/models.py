"""Downloads of versions by day."""

from django.db import models

from registry.models import Repository


class VersionDownloads(models.Model):
    """The downloads of one version on one day (UTC), of the last KEPT days.

    Downloads whose client named no version, and all older ones, are in DailyDownloads alone. There is no constraint of
    the database: code of the release before deletes repositories without these rows.
    """

    pk = models.CompositePrimaryKey("repository_id", "day", "oid")
    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, related_name="version_downloads", db_constraint=False, db_index=False
    )
    day = models.DateField()
    oid = models.CharField(max_length=40)
    count = models.PositiveIntegerField()

    class Meta:
        app_label = "registry"
        verbose_name_plural = "version downloads"
