"""Xorbs, the files that are made of them, and files that wait to be cut."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.blobs import SHA256


class Xorb(models.Model):
    """A verified chunk container, kept for as long as clients remember having sent it."""

    hash = models.CharField(max_length=64, primary_key=True)  # Xet's own text form, not a sha256
    size = models.BigIntegerField()
    last_used_at = models.DateTimeField(default=timezone.now, db_default=Now())
    is_cold = models.BooleanField(default=False, db_default=False)  # its index alone is here: whole files hold it

    class Meta:
        app_label = "registry"
        constraints = [models.CheckConstraint(condition=Q(hash__regex=SHA256), name="xorb_hash_shape")]
        indexes = [models.Index(fields=["last_used_at"], name="xorb_last_used_at")]


class KnownXorb(models.Model):
    """The fact that a person sent this xorb, or was told of it by the hub: a name alone gives no right to a xorb."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="known_xorbs")
    xorb = models.CharField(max_length=64)  # no foreign key, which would make the sweep of xorbs wait

    class Meta:
        app_label = "registry"
        constraints = [models.UniqueConstraint(fields=["person", "xorb"], name="known_xorb_unique")]
        indexes = [models.Index(fields=["xorb"], name="known_xorb_xorb")]  # to forget one that is deleted


class XetFile(models.Model):
    """A reconstruction: the chunks of xorbs that make a proven file; valid while the xorbs are stored."""

    file_id = models.CharField(max_length=64, primary_key=True)  # Xet's own text form
    sha256 = models.CharField(max_length=64, db_index=True)  # no foreign key, which would make the sweep of blobs wait
    size = models.BigIntegerField()
    terms = models.JSONField()  # [[xorb, first chunk, chunk after the last, raw size in bytes], …]
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        constraints = [
            models.CheckConstraint(condition=Q(file_id__regex=SHA256), name="xet_file_id_shape"),
            models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="xet_file_sha256_shape"),
        ]

    @property
    def xorbs(self) -> set[str]:
        """The names of the xorbs that hold its chunks."""
        return {str(term[0]) for term in self.terms}


class XorbSpan(models.Model):
    """Chunks [start, end) of a xorb that a file holds from the byte `at` on: its `XetFile.terms` by xorb."""

    file = models.ForeignKey(XetFile, on_delete=models.CASCADE, related_name="spans")
    xorb = models.CharField(max_length=64, db_index=True)  # no foreign key, which would make the sweep of xorbs wait
    start = models.PositiveIntegerField()
    end = models.PositiveIntegerField()
    at = models.BigIntegerField()

    class Meta:
        app_label = "registry"
        constraints = [models.UniqueConstraint(fields=["file", "at"], name="xorb_span_unique")]

    def __str__(self) -> str:
        return f"{self.xorb}[{self.start}:{self.end}]"


class ChunkingJob(models.Model):
    """A job: cut a file that came whole into chunks. The row is deleted when the job is done."""

    sha256 = models.CharField(max_length=64, primary_key=True)  # no foreign key, as above
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    # Later while a worker holds the lease, or after a failure
    free_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        constraints = [models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="chunking_job_sha256_shape")]
        indexes = [models.Index(fields=["free_at"], name="chunking_job_free_at")]
