"""Repositories of other hubs that were read through this one: what those hubs said of them, and their files."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models import Blob, Repository


class UpstreamRepository(models.Model):
    """A repository of another hub that somebody read here."""

    type = models.CharField(max_length=8, choices=Repository.Type.choices)
    full_name = models.CharField(max_length=200)  # as the other hub spells it
    folded = models.CharField(max_length=200)  # in lower case
    short_name = models.CharField(max_length=96, blank=True, db_index=True)  # that the hub leads here, such as gpt2
    namespace = models.CharField(max_length=96, db_index=True)  # in lower case; nobody else may take it here
    origin = models.CharField(max_length=300)  # the address of that hub
    restricted = models.CharField(max_length=8, blank=True)  # gated, private: the token of this hub opens it
    added_at = models.DateTimeField(default=timezone.now, db_default=Now())
    # About an hour exact; store.forget looks for old ones
    read_at = models.DateTimeField(default=timezone.now, db_default=Now())
    # The job of records.py, which is done or given up when `wanted` is empty.
    wanted = models.CharField(max_length=40, blank=True)  # the commit that shall be recorded and proven
    tries = models.PositiveIntegerField(default=0, db_default=0)
    # Later while a worker is at it, or after a failure
    free_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        verbose_name_plural = "upstream repositories"
        constraints = [models.UniqueConstraint(fields=["type", "folded"], name="upstream_repository_unique")]
        indexes = [
            models.Index(fields=["free_at"], name="upstream_wanted", condition=~models.Q(wanted="")),
            models.Index(fields=["read_at"], name="upstream_read_at"),
        ]

    def __str__(self) -> str:
        return self.full_name


class UpstreamDocument(models.Model):
    """A JSON answer of the other hub; under a commit's id it never changes, under a name it grows old."""

    repository = models.ForeignKey(UpstreamRepository, on_delete=models.CASCADE, related_name="documents")
    key = models.CharField(max_length=400)
    body = models.BinaryField()  # JSON, gzip
    asked_at = models.DateTimeField(default=timezone.now, db_default=Now())
    read_at = models.DateTimeField(default=timezone.now, db_default=Now())  # about an hour exact

    class Meta:
        app_label = "registry"
        constraints = [models.UniqueConstraint(fields=["repository", "key"], name="upstream_document_unique")]
        indexes = [models.Index(fields=["read_at"], name="upstream_document_read_at")]

    def __str__(self) -> str:
        return f"{self.key} of {self.repository_id}"


class UpstreamFile(models.Model):
    """A file that was fetched and proven: its name in clients' caches, by which trees of that repository name it."""

    repository = models.ForeignKey(UpstreamRepository, on_delete=models.CASCADE, related_name="files")
    etag = models.CharField(max_length=64)  # sha256 of a large file, git's sha1 of a small one
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="upstream_files")
    size = models.BigIntegerField()
    # About an hour exact; the cache drops the oldest first
    read_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        constraints = [models.UniqueConstraint(fields=["repository", "etag"], name="upstream_file_unique")]
        indexes = [models.Index(fields=["read_at"], name="upstream_file_read_at")]

    def __str__(self) -> str:
        return f"{self.etag} of {self.repository_id}"
