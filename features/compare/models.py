"""Comparisons of weight files, and measurements on the rows of others, that were made or are waited for."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.blobs import SHA256
from registry.models.repositories import Revision


class WeightComparison(models.Model):
    """The differences of two weight files; a row without a result is a job."""

    before = models.CharField(max_length=64)  # their sha256; no foreign keys, since it outlives them
    after = models.CharField(max_length=64)
    result = models.JSONField(null=True)
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    free_at = models.DateTimeField(default=timezone.now, null=True)  # of a job: later while a worker holds it
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), db_index=True)

    class Meta:
        app_label = "registry"
        constraints = [
            models.UniqueConstraint(fields=["before", "after"], name="weight_comparison_unique"),
            models.CheckConstraint(
                condition=Q(before__regex=SHA256, after__regex=SHA256), name="weight_comparison_sha256_shape"
            ),
        ]
        indexes = [models.Index(fields=["free_at"], name="weight_comparison_job", condition=Q(result__isnull=True))]

    def __str__(self) -> str:
        return f"{self.before[:7]}...{self.after[:7]}"


class RowsMeasurement(models.Model):
    """A version measured on the rows of another one; a row with `free_at` is a job."""

    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="+")
    rows_of = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="+")
    route = models.CharField(max_length=200)  # id of the base that a worker must have, lower case
    engine = models.CharField(max_length=32)  # the one that passed the version
    place = models.CharField(max_length=1024, blank=True)  # folder of the adapter, "" for the top
    evaluation = models.JSONField(null=True)
    problem = models.CharField(max_length=500, blank=True)  # why nothing was measured
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    free_at = models.DateTimeField(default=timezone.now, null=True)  # later while a worker holds it
    asked_at = models.DateTimeField(default=timezone.now, db_default=Now(), db_index=True)

    class Meta:
        app_label = "registry"
        constraints = [models.UniqueConstraint(fields=["revision", "rows_of"], name="rows_measurement_unique")]
        indexes = [models.Index(fields=["id"], name="rows_measurement_job", condition=Q(free_at__isnull=False))]

    def __str__(self) -> str:
        return f"{self.revision_id} on the rows of {self.rows_of_id}"

    @property
    def is_running(self) -> bool:
        """True while a worker holds it."""
        return self.attempts > 0 and self.free_at is not None and self.free_at > timezone.now()
