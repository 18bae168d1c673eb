"""Repositories, their immutable revisions, files and refs, and requests for access to gated ones."""

from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.urls import reverse
from django.utils import timezone

from registry.models.accounts import Namespace
from registry.models.blobs import Blob

OID = r"^[0-9a-f]{40}$"


class InUse(models.Manager["Repository"]):
    """The repositories that exist for people and programs: those in the bin do not."""

    def get_queryset(self) -> models.QuerySet["Repository"]:
        return super().get_queryset().filter(binned_at__isnull=True)


class Repository(models.Model):
    """A repository of type model (usually an adapter), dataset (an evaluation set) or space (a demo).

    The hub stores the files of a space and runs nothing.

    The facts from `summary` on are a copy of those of `verified`, of main's newest revision where nothing is verified,
    kept for lists and search; registry/publish/push/ and registry/proof/ write them in the transaction that changes the
    truth. `state` and `updated_at` are main's.
    """

    class Type(models.TextChoices):
        MODEL = "model"
        DATASET = "dataset"
        SPACE = "space"

    class Gate(models.TextChoices):
        AUTO = "auto"  # a request is granted at once
        MANUAL = "manual"  # a request waits for the owner

    NOT_MEASURED = -1.0  # a score that no measured one is as low as

    type = models.CharField(max_length=8, choices=Type.choices, default=Type.MODEL, db_default=Type.MODEL)
    namespace = models.ForeignKey(  # without an index of its own: repository_by_owner begins with it
        Namespace, on_delete=models.PROTECT, related_name="repositories", db_index=False
    )
    name = models.CharField(max_length=96)
    private = models.BooleanField(default=False, db_default=False)
    source = models.CharField(max_length=300, blank=True)  # the address of the hub that it is read from
    gated = models.CharField(max_length=6, choices=Gate.choices, blank=True)  # empty: no gate
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="created_repositories"
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    updated_at = models.DateTimeField(default=timezone.now, db_default=Now())
    quarantined_at = models.DateTimeField(null=True, blank=True)
    # Tokens but those of trusted publishers may not push
    publishers_only = models.BooleanField(default=False, db_default=False)
    # A copy: the revision of main is quarantined or yanked
    is_main_held = models.BooleanField(default=False, db_default=False)
    deprecated_at = models.DateTimeField(null=True, blank=True)
    deprecation = models.CharField(max_length=500, blank=True)  # the owner's advice to those who use it
    successor = models.CharField(max_length=200, blank=True)  # namespace/name of what to use in its place
    archived_at = models.DateTimeField(null=True, blank=True)  # read-only since then
    binned_at = models.DateTimeField(null=True, blank=True)  # in the bin: registry/publish/retirement.py
    binned_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    summary = models.CharField(max_length=300, blank=True)
    format = models.CharField(max_length=32, blank=True)  # peft, …; empty: nothing here is an adapter
    kind = models.CharField(max_length=32, blank=True)  # lora, ia3, prompt-tuning, p-tuning, prefix-tuning …
    base = models.CharField(max_length=200, blank=True)  # base model id as the adapter names it
    base_revision = models.CharField(max_length=64, blank=True)  # of the base, as the adapter names it
    targets = models.CharField(max_length=500, blank=True)  # "\nq_proj\nv_proj\n": modules that the adapter changes
    task = models.CharField(max_length=64, blank=True)  # pipeline tag, e.g. text-classification
    license = models.CharField(max_length=64, blank=True)
    rank = models.PositiveIntegerField(null=True, blank=True)
    parameters = models.BigIntegerField(default=0, db_default=0)  # values in the weights
    size = models.BigIntegerField(default=0, db_default=0)  # bytes of all files of the newest revision of main
    # Of each file of any revision once: kernel/stored_bytes.py
    stored_bytes = models.BigIntegerField(default=0, db_default=0)
    tags = models.JSONField(default=list, db_default=[], blank=True)
    triggers = models.TextField(blank=True)  # "\tsks cat\t": trigger words in lower case, searched unless it is gated
    # state of main's newest verdict, queued also while it runs; empty: no verdict
    state = models.CharField(max_length=8, blank=True)
    # passed where a version is verified; else main's last answer, also while it is proven again
    outcome = models.CharField(max_length=8, blank=True)
    # `refs/verified` exists: registry/proof/verified/verified.py
    is_verified = models.BooleanField(default=False, db_default=False)
    serves = models.CharField(
        max_length=300, blank=True
    )  # "\nvllm\nlorax\n": by the verdict of `verified`, else of main
    # Gain of `verified` over the frozen base: registry/proof/reports.py
    score = models.FloatField(default=NOT_MEASURED, db_default=NOT_MEASURED)
    search_text = models.TextField(blank=True)  # lower-case words that a search looks in
    downloads = models.PositiveIntegerField(default=0, db_default=0)
    likes = models.PositiveIntegerField(default=0, db_default=0)  # kept by a feature
    # Downloads and likes, the newer the heavier: registry/repos/download_counts.py
    trending = models.FloatField(default=0, db_default=0)

    objects = InUse()
    with_binned = models.Manager["Repository"]()

    class Meta:
        verbose_name_plural = "repositories"
        constraints = [
            models.UniqueConstraint(
                "type",
                "namespace",
                Lower("name"),
                condition=Q(binned_at__isnull=True),
                name="repository_name_unique",
            ),
            models.CheckConstraint(condition=Q(type__in=["model", "dataset", "space"]), name="repository_type_known"),
            models.CheckConstraint(condition=Q(gated__in=["", "auto", "manual"]), name="repository_gate_known"),
        ]
        indexes = [
            models.Index(fields=["type", "-updated_at", "-id"], name="repository_by_update"),
            models.Index(fields=["type", "base", "-updated_at", "-id"], name="repository_by_base"),
            models.Index(fields=["namespace", "type", "-updated_at", "-id"], name="repository_by_owner"),
            models.Index(fields=["type", "-likes", "-id"], name="repository_by_likes"),
            models.Index(fields=["type", "-downloads", "-id"], name="repository_by_downloads"),
            models.Index(fields=["type", "is_verified", "-downloads", "-id"], name="repository_by_standing"),
            models.Index(Lower("name"), name="repository_by_name"),
            models.Index(fields=["type", "-created_at", "-id"], name="repository_by_creation"),
            models.Index(fields=["type", "-trending", "-id"], name="repository_by_trend"),
            models.Index(fields=["type", "-score", "-id"], name="repository_by_score"),
            models.Index(fields=["namespace", "stored_bytes"], name="repository_by_bytes"),
            models.Index(fields=["binned_at"], name="repository_binned", condition=Q(binned_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.full_name

    @property
    def full_name(self) -> str:
        """The id people and clients use: namespace/name."""
        return f"{self.namespace.name}/{self.name}"

    @property
    def source_host(self) -> str:
        """The host of the other hub that it is read from."""
        return urlsplit(self.source).netloc

    @property
    def source_url(self) -> str:
        """The address of its page there."""
        return f"{self.source}/{self.full_name}"

    def get_absolute_url(self) -> str:
        """Return the path of its page, with which the paths of its files begin."""
        return reverse("repository", args=[self])

    def file_url(self, revision: str, path: str) -> str:
        """Return the path that a file of a revision (its name or commit) is downloaded from."""
        of_this = {"type": self.type, "ns": self.namespace.name, "name": self.name}
        return reverse("hf:resolve", kwargs={**of_this, "tail": f"{revision}/{path}"})

    @property
    def is_quarantined(self) -> bool:
        return self.quarantined_at is not None

    @property
    def is_deprecated(self) -> bool:
        return self.deprecated_at is not None

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

    @property
    def is_binned(self) -> bool:
        return self.binned_at is not None


class Revision(models.Model):
    """One immutable state of a repository's files; its id is computed from its manifest."""

    asked = ""  # no column: the name that led here, which refusals repeat in place of the id
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="revisions")
    oid = models.CharField(max_length=40)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.RESTRICT, related_name="children")
    # The head that a squash put this first commit in place of: what went before it goes before this one too.
    replaces = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    title = models.CharField(max_length=500)
    message = models.TextField(blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="revisions")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    quarantined_at = models.DateTimeField(null=True, blank=True)  # of this revision alone
    run = models.ForeignKey(  # of the CI job that published it as a trusted publisher
        "PublishingRun", null=True, blank=True, on_delete=models.SET_NULL, related_name="revisions"
    )
    pushed_with = models.CharField(max_length=200, blank=True)  # token:NAME or session; for moderators
    yanked_at = models.DateTimeField(null=True, blank=True)  # withdrawn by its owners; still served by its commit id
    yank_reason = models.CharField(max_length=500, blank=True)
    # A later commit of the same push completes it: it has no verdict
    is_part = models.BooleanField(default=False, db_default=False)
    # Announced by its push, which broke off before they came
    files_missing = models.PositiveIntegerField(default=0, db_default=0)
    expired_at = models.DateTimeField(null=True, blank=True)  # its files were removed: expiring.py
    # An owner took its files back: no retention rule removes them
    is_kept = models.BooleanField(default=False, db_default=False)
    downloads = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repository", "oid"], name="revision_oid_unique"),
            models.CheckConstraint(condition=Q(oid__regex=OID), name="revision_oid_shape"),
        ]
        indexes = [
            models.Index(fields=["repository"], name="revision_held", condition=Q(quarantined_at__isnull=False)),
            models.Index(fields=["expired_at"], name="revision_expired", condition=Q(expired_at__isnull=False)),
        ]

    def get_absolute_url(self) -> str:
        return reverse("commit", args=[self.repository, self.oid])

    @property
    def is_quarantined(self) -> bool:
        return self.quarantined_at is not None

    @property
    def is_yanked(self) -> bool:
        return self.yanked_at is not None

    @property
    def is_expired(self) -> bool:
        return self.expired_at is not None


class RevisionFile(models.Model):
    """A path of a revision and the blob behind it."""

    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="files")
    path = models.CharField(max_length=1024)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="files")
    size = models.BigIntegerField()
    is_lfs = models.BooleanField()
    git_oid = models.CharField(max_length=40)  # sha1 of the git blob; of the LFS pointer where is_lfs
    # Looks like a pickle, and no worker has searched it: registry/repos/downloads.py
    is_unsearched = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(fields=["revision", "path"], name="revision_file_path_unique"),
            models.CheckConstraint(condition=Q(git_oid__regex=OID), name="revision_file_git_oid_shape"),
        ]
        indexes = [models.Index(fields=["revision"], name="revision_file_unsearched", condition=Q(is_unsearched=True))]

    @property
    def sha256(self) -> str:
        return self.blob_id

    @property
    def etag(self) -> str:
        """The name of the file in client caches: sha256 for LFS files, git blob sha1 for regular ones."""
        return self.blob_id if self.is_lfs else self.git_oid


class ExpiredFile(models.Model):
    """A file of a version that lost its files, in the bin: no road of reading looks here.

    The row keeps the bytes until the days of the bin are over.
    """

    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="expired_files")
    path = models.CharField(max_length=1024)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="expired_files")
    size = models.BigIntegerField()
    is_lfs = models.BooleanField()
    git_oid = models.CharField(max_length=40)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["revision", "path"], name="expired_file_path_unique"),
            models.CheckConstraint(condition=Q(git_oid__regex=OID), name="expired_file_git_oid_shape"),
        ]

    def __str__(self) -> str:
        return f"{self.path} of {self.revision_id}"


class Ref(models.Model):
    """A movable name: refs/heads/main, refs/tags/v1, refs/verified."""

    MAIN = "refs/heads/main"

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="refs")
    name = models.CharField(max_length=255)
    revision = models.ForeignKey(Revision, on_delete=models.RESTRICT, related_name="refs")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repository", "name"], name="ref_name_unique"),
            models.CheckConstraint(condition=Q(name__startswith="refs/"), name="ref_name_shape"),
        ]


class AccessRequest(models.Model):
    """One person's access to one gated repository; one row, however often it is decided."""

    class Status(models.TextChoices):
        PENDING = "pending"
        ACCEPTED = "accepted"
        REJECTED = "rejected"

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="access_requests")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_requests")
    status = models.CharField(max_length=8, choices=Status.choices)
    # False: granted without a request, so the owner sees no e-mail address
    asked = models.BooleanField(default=True, db_default=True)
    text = models.CharField(max_length=500, blank=True)  # the person's purpose
    answers = models.JSONField(default=dict, db_default={}, blank=True)  # to what the gate asks
    reason = models.CharField(max_length=500, blank=True)  # why it was rejected
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="access_decisions"
    )
    at = models.DateTimeField(default=timezone.now, db_default=Now())  # of the request, or of the grant
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repository", "user"], name="access_request_unique"),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "accepted", "rejected"]), name="access_request_status_known"
            ),
        ]
        indexes = [models.Index(fields=["repository", "status", "-id"], name="access_request_by_status")]
