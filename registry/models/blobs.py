"""Believed bytes, the repositories they were delivered for, uploads and pushes in progress, and searches of files."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

SHA256 = r"^[0-9a-f]{64}$"


class Blob(models.Model):
    """One immutable object in the store whose digest the hub computed itself."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="blob_sha256_shape"),
            models.CheckConstraint(condition=Q(size__gte=0), name="blob_size_not_negative"),
        ]


class UploadedBlob(models.Model):
    """The fact that these bytes were delivered for this repository; a digest alone gives no right to a blob."""

    class Use(models.TextChoices):
        DELIVERED = "delivered"  # no revision of the repository names them
        PROPOSED = "proposed"  # only revisions of people who may not write there do
        PUSHED = "pushed"

    repository = models.ForeignKey("registry.Repository", on_delete=models.CASCADE, related_name="uploaded_blobs")
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="uploaded_to")
    # Kept by kernel/stored_bytes.py
    use = models.CharField(max_length=9, choices=Use.choices, default=Use.DELIVERED, db_default=Use.DELIVERED)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repository", "blob"], name="uploaded_blob_unique"),
            models.CheckConstraint(
                condition=Q(use__in=["delivered", "proposed", "pushed"]), name="uploaded_blob_use_known"
            ),
        ]
        indexes = [
            models.Index(fields=["repository"], name="uploaded_blob_proposed", condition=Q(use="proposed")),
            models.Index(fields=["created_at"], name="uploaded_blob_unused", condition=Q(use="delivered")),
        ]


class DerivedArtifact(models.Model):
    """Bytes that the hub made of a pushed file: the same tensors in another form."""

    class Form(models.TextChoices):
        SAFETENSORS = "safetensors"
        TORCH = "torch"  # as torch.save writes them

    source = models.ForeignKey(Blob, on_delete=models.CASCADE, related_name="derived")
    form = models.CharField(max_length=12, choices=Form.choices)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="derived_from")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "form"], name="derived_artifact_unique"),
            models.CheckConstraint(condition=Q(form__in=["safetensors", "torch"]), name="derived_artifact_form_known"),
        ]


class Upload(models.Model):
    """A ticket for announced bytes; the digest is believed only after the hub has hashed them."""

    id = models.UUIDField(primary_key=True)
    repository = models.ForeignKey("registry.Repository", on_delete=models.CASCADE, related_name="uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="uploads")
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="upload_sha256_shape"),
            models.CheckConstraint(condition=Q(size__gte=0), name="upload_size_not_negative"),
        ]
        indexes = [models.Index(fields=["expires_at"], name="upload_expires_at")]


class TensorDigest(models.Model):
    """The digest of the tensors in a file, which stays the same under another header; a row without one is a job."""

    file = models.CharField(max_length=64, primary_key=True)  # its sha256; no foreign key: the sweep would wait
    sha256 = models.CharField(max_length=64, null=True, db_index=True)  # null: waits; empty: no tensors can be read
    author = models.BigIntegerField(default=0, db_default=0)  # the person who pushed it first, as in SearchAccount
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    free_at = models.DateTimeField(default=timezone.now, null=True)  # of a job: later while a worker holds it

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(file__regex=SHA256), name="tensor_digest_file_shape")]
        indexes = [models.Index(fields=["free_at"], name="tensor_digest_job", condition=Q(sha256__isnull=True))]


class OpenPush(models.Model):
    """One person's push to one lane of a repository: what its client announced, and the commits that came so far.

    A lane is a ref; all pull requests of a person are one lane, because a client announces files before it knows the
    number of its pull request.
    """

    repository = models.ForeignKey("registry.Repository", on_delete=models.CASCADE, related_name="open_pushes")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    lane = models.CharField(max_length=255)
    first_path = models.CharField(max_length=1024, blank=True)  # of the announcement: seen again, the client restarted
    # The last announcement was a short one, so it was the end
    is_announced = models.BooleanField(default=False, db_default=False)
    announced = models.PositiveIntegerField(default=0, db_default=0)  # files
    # Of these: new or of another size, and not committed yet
    expected = models.PositiveIntegerField(default=0, db_default=0)
    # Of these: of the same size, so perhaps never committed
    doubtful = models.PositiveIntegerField(default=0, db_default=0)
    ref = models.CharField(max_length=255, blank=True)  # "" until a commit has come
    # The revisions before the first commit and of the last one
    before = models.ForeignKey("registry.Revision", null=True, on_delete=models.CASCADE, related_name="+")
    revision = models.ForeignKey("registry.Revision", null=True, on_delete=models.CASCADE, related_name="+")
    is_new_ref = models.BooleanField(default=False, db_default=False)  # the push made its ref: a pull request
    heard_at = models.DateTimeField(default=timezone.now, db_default=Now())
    # Seconds of silence after which it has ended; 0: no commit yet
    patience = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        verbose_name_plural = "open pushes"
        constraints = [models.UniqueConstraint(fields=["repository", "by", "lane"], name="open_push_unique")]

    def __str__(self) -> str:
        return f"{self.repository_id} {self.lane} by {self.by_id}"


class PickleScan(models.Model):
    """A job: look for pickles in the files of a revision. The row is deleted when the job is done."""

    revision = models.OneToOneField(
        "registry.Revision", on_delete=models.CASCADE, primary_key=True, related_name="pickle_scan"
    )
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    # Later while a worker holds the lease
    free_at = models.DateTimeField(default=timezone.now, db_default=Now(), db_index=True)
    queued_at = models.DateTimeField(default=timezone.now, db_default=Now())

    def __str__(self) -> str:
        return str(self.revision_id)


class SearchAccount(models.Model):
    """The processor time that searches of one author's pushes took on a day, and until when one of them runs."""

    author = models.BigIntegerField(primary_key=True)  # 0: nobody; no foreign key: the account ends, its row by itself
    day = models.DateField()
    milliseconds = models.PositiveBigIntegerField(default=0, db_default=0)
    busy_until = models.DateTimeField(default=timezone.now, db_default=Now())

    def __str__(self) -> str:
        return f"{self.author} on {self.day}"


class SecretSearch(models.Model):
    """The files that the search for secrets in a revision has read, and its findings."""

    revision = models.OneToOneField(
        "registry.Revision", on_delete=models.CASCADE, primary_key=True, related_name="secret_search"
    )
    searched = models.CharField(max_length=300)  # how much was looked at and what was not, in words
    places = models.JSONField(default=list, db_default=[])  # [file, line, kind] of each secret, never its value

    class Meta:
        verbose_name_plural = "secret searches"

    def __str__(self) -> str:
        return str(self.revision_id)
