"""Comparisons of weight files that were made, or are waited for."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.blobs import SHA256


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
