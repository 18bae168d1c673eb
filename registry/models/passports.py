"""Weight passports (dovetail.adapters.passport), and the index by which nearly equal weights are found."""

from django.db import models
from django.db.models import Q

from registry.models.blobs import SHA256


class WeightPassport(models.Model):
    """The measurements of the weights of one file, whoever pushed it."""

    file = models.CharField(max_length=64, primary_key=True)  # its sha256; no foreign key, as of TensorDigest
    modules = models.JSONField()  # [[name, rank, norm, largest, effective rank], …]
    spectrum = models.JSONField()
    fingerprint = models.BinaryField(max_length=512)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(file__regex=SHA256), name="weight_passport_file_shape")]


class FingerprintBand(models.Model):
    """One key of the fingerprint of a passport."""

    passport = models.ForeignKey(WeightPassport, on_delete=models.CASCADE, related_name="bands")
    key = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "passport"], name="fingerprint_band_unique")]
