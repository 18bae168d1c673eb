"""Weight passports (shapes.passport), the index by which nearly equal weights are found, norms of bases and
of the adapters for one of them.
"""

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.blobs import SHA256


class WeightPassport(models.Model):
    """The measurements of the weights of one file, shared by all who pushed it."""

    file = models.CharField(max_length=64, primary_key=True)  # its sha256; no foreign key, as of TensorDigest
    # [[name, rank, norm, largest, effective rank, shape, sketch in base64], …]; older rows have no sketches
    modules = models.JSONField()
    spectrum = models.JSONField()
    fingerprint = models.BinaryField(max_length=512)
    # The keys by which nearly equal weights are found, as text, on PostgreSQL; null: they are rows of FingerprintBand
    keys = models.JSONField(null=True)

    class Meta:
        app_label = "registry"
        indexes = [GinIndex(fields=["keys"], name="weight_passport_keys")]
        constraints = [models.CheckConstraint(condition=Q(file__regex=SHA256), name="weight_passport_file_shape")]


class FingerprintBand(models.Model):
    """One key of a passport, on SQLite, which has no index of arrays, and of the release before."""

    passport = models.ForeignKey(WeightPassport, on_delete=models.CASCADE, related_name="bands")
    key = models.PositiveIntegerField()

    class Meta:
        app_label = "registry"
        constraints = [models.UniqueConstraint(fields=["key", "passport"], name="fingerprint_band_unique")]


class BaseNorms(models.Model):
    """The norms of the weights of a base (shapes.base_norms); a row without norms and problem is a job."""

    sha256 = models.CharField(max_length=64, primary_key=True)  # of the base: other files have other norms
    norms = models.JSONField(null=True)  # {tensor: [norm, shape], …}
    problem = models.CharField(max_length=300, blank=True)  # the reason why they cannot be measured
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    free_at = models.DateTimeField(default=timezone.now, db_default=Now())  # later while a worker holds the lease
    measured_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        verbose_name_plural = "norms of bases"
        constraints = [models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="base_norms_sha256_shape")]


class NormPopulation(models.Model):
    """The norms that public adapters of one base and method have, against which an outlier is measured; a rollup."""

    base = models.CharField(max_length=200)  # as in the catalogue
    kind = models.CharField(max_length=32)  # the method
    medians = models.JSONField()  # {kind of module: [median of the adapters' median norms, number of adapters], …}
    computed_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        constraints = [models.UniqueConstraint(fields=["base", "kind"], name="norm_population_unique")]

    def __str__(self) -> str:
        return f"{self.base}, {self.kind}"
