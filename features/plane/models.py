"""The read plane: for which names of repositories documents are in the store, and which of them wait to be written."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class PlaneRequest(models.Model):
    """A request to make the documents of a name those of now, written in the transaction of the change.

    Rows are only added, so that no change of a repository waits for another one, or for a worker.
    """

    name = models.CharField(max_length=200, db_index=True)
    withdraws = models.BooleanField(default=False, db_default=False)  # something may have to go: it comes first
    at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        indexes = [models.Index(fields=["-withdraws", "id"], name="plane_request_in_turn")]

    def __str__(self) -> str:
        return self.name


class PlaneName(models.Model):
    """A name NS/NAME, and the job of making its documents those of now (jobs.py).

    The row stays while the repository is public: documents are signed for some days, and written again before that
    ends.
    """

    name = models.CharField(max_length=200, unique=True)
    # When its documents are written next: long ago where something is withdrawn, later while a worker holds the lease
    due_at = models.DateTimeField(default=timezone.now, db_default=Now(), db_index=True)
    signed_at = models.DateTimeField(null=True)  # null: no documents are there, as nothing can be pulled
    attempts = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        app_label = "registry"

    def __str__(self) -> str:
        return self.name
