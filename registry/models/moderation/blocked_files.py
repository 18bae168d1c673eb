"""Files that nobody may push here, known by their sha256."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.repos.blobs import SHA256


class BlockedFile(models.Model):
    """The digest of a file that moderators have blocked, with the reason that a person who pushes it reads."""

    sha256 = models.CharField(max_length=64, unique=True)
    tensors = models.CharField(max_length=64, blank=True, db_index=True)  # its TensorDigest, once that is known
    reason = models.CharField(max_length=500)
    note = models.TextField(blank=True)  # for moderators
    by = models.CharField(max_length=96)  # a name, not a key: the block outlives the account
    at = models.DateTimeField(default=timezone.now, db_default=Now())
    swept_at = models.DateTimeField(null=True, blank=True)  # when all revisions that hold it were held back
    held = models.PositiveIntegerField(default=0, db_default=0)  # revisions that were held back for it

    class Meta:
        verbose_name = "blocked file"
        constraints = [
            models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="blocked_file_sha256_shape"),
            models.CheckConstraint(condition=~Q(reason=""), name="blocked_file_has_reason"),
        ]

    def __str__(self) -> str:
        return self.sha256
