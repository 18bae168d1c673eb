"""Revisions whose files wait to be looked through for pickles."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.repositories import Revision


class PickleScan(models.Model):
    """A job: look for pickles in the files of a revision. The row is deleted when the job is done."""

    revision = models.OneToOneField(Revision, on_delete=models.CASCADE, primary_key=True, related_name="pickle_scan")
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    # Later while a worker holds the lease
    free_at = models.DateTimeField(default=timezone.now, db_default=Now(), db_index=True)

    def __str__(self) -> str:
        return str(self.revision_id)
