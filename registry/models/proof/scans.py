"""Searches of the files of revisions: for pickles those that wait, for secrets what came of them."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.repos.repositories import Revision


class PickleScan(models.Model):
    """A job: look for pickles in the files of a revision. The row is deleted when the job is done."""

    revision = models.OneToOneField(Revision, on_delete=models.CASCADE, primary_key=True, related_name="pickle_scan")
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    # Later while a worker holds the lease
    free_at = models.DateTimeField(default=timezone.now, db_default=Now(), db_index=True)

    def __str__(self) -> str:
        return str(self.revision_id)


class SecretSearch(models.Model):
    """The files that the search for secrets in a revision has read, and its findings."""

    revision = models.OneToOneField(Revision, on_delete=models.CASCADE, primary_key=True, related_name="secret_search")
    searched = models.CharField(max_length=300)  # how much was looked at and what was not, in words
    places = models.JSONField(default=list, db_default=[])  # [file, line, kind] of each secret, never its value

    def __str__(self) -> str:
        return str(self.revision_id)
