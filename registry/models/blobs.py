"""Bytes we believe, who has proven to hold them, and bytes on their way in."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

SHA256 = r"^[0-9a-f]{64}$"


class Blob(models.Model):
    """One object in the store whose digest we computed ourselves; never changed."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="blob_sha256_shape"),
            models.CheckConstraint(condition=Q(size__gte=0), name="blob_size_not_negative"),
        ]


class UploadedBlob(models.Model):
    """Proof that somebody delivered these bytes for this adapter; a digest alone gives no right to a blob."""

    repository = models.ForeignKey("registry.Repository", on_delete=models.CASCADE, related_name="uploaded_blobs")
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="uploaded_to")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "blob"], name="uploaded_blob_unique")]


class DerivedArtifact(models.Model):
    """Bytes the hub made of other bytes: the same tensors in another form."""

    class Form(models.TextChoices):
        SAFETENSORS = "safetensors"
        TORCH = "torch"  # as torch.save writes them

    source = models.ForeignKey(Blob, on_delete=models.CASCADE, related_name="derived")
    form = models.CharField(max_length=12, choices=Form.choices)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="derived_from")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "form"], name="derived_artifact_unique"),
            models.CheckConstraint(condition=Q(form__in=["safetensors", "torch"]), name="derived_artifact_form_known"),
        ]


class Upload(models.Model):
    """A ticket for bytes that somebody said he will deliver; the claim is believed only after we hashed them."""

    id = models.UUIDField(primary_key=True)
    repository = models.ForeignKey("registry.Repository", on_delete=models.CASCADE, related_name="uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="uploads")
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="upload_sha256_shape"),
            models.CheckConstraint(condition=Q(size__gte=0), name="upload_size_not_negative"),
        ]
        indexes = [models.Index(fields=["expires_at"], name="upload_expires_at")]


class Xorb(models.Model):
    """A verified chunk container, kept for as long as clients remember having sent it."""

    hash = models.CharField(max_length=64, primary_key=True)  # Xet's own text form, not a sha256
    size = models.BigIntegerField()
    last_used_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(hash__regex=SHA256), name="xorb_hash_shape")]
        indexes = [models.Index(fields=["last_used_at"], name="xorb_last_used_at")]


class XetFile(models.Model):
    """How a proven file is put together from chunks of xorbs; a way to read it, true while those are kept."""

    file_id = models.CharField(max_length=64, primary_key=True)  # Xet's own text form
    sha256 = models.CharField(max_length=64, db_index=True)  # no foreign key: the sweep of blobs waits for nobody
    size = models.BigIntegerField()
    terms = models.JSONField()  # [[xorb, first chunk, chunk after the last, raw size in bytes], …]
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(file_id__regex=SHA256), name="xet_file_id_shape"),
            models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="xet_file_sha256_shape"),
        ]

    @property
    def xorbs(self) -> set[str]:
        """The names of the xorbs it is made of."""
        return {str(term[0]) for term in self.terms}


class ChunkingJob(models.Model):
    """A believed file that came whole and is not cut into chunks yet; the row is the job, and goes when it is done."""

    sha256 = models.CharField(max_length=64, primary_key=True)  # no foreign key, as above
    attempts = models.PositiveIntegerField(default=0)
    free_at = models.DateTimeField(default=timezone.now)  # later while somebody works at it, or did and failed

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="chunking_job_sha256_shape")]
        indexes = [models.Index(fields=["free_at"], name="chunking_job_free_at")]
