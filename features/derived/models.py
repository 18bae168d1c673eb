"""Derived versions: what the hub was asked to make of other versions, and what became of it."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.accounts import Token
from registry.models.repositories import Repository, Revision

MAX_REASON = 1000


class DerivedVersion(models.Model):
    """A request and its result, and the job in between; `key` identifies the request, so the same one is done once.

    `method` is the format or variant of a conversion, or the method of a merge; `options` are the numbers of the
    request, `facts` what the conversion told, such as its largest error.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        REFUSED = "refused"  # the sources do not allow it, or the requester may not: `reason` says why
        ERRORED = "errored"  # the hub failed, three times

    key = models.CharField(max_length=64, unique=True)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="derived_versions")
    ref = models.CharField(max_length=255)
    method = models.CharField(max_length=16)
    options = models.JSONField(default=dict, db_default={})
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    token = models.ForeignKey(Token, null=True, on_delete=models.SET_NULL, related_name="+")
    # A token that is revoked meanwhile ends the request
    is_by_token = models.BooleanField(default=False, db_default=False)
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED, db_default=State.QUEUED)
    reason = models.CharField(max_length=MAX_REASON, blank=True)
    facts = models.JSONField(default=dict, db_default={})
    revision = models.ForeignKey(Revision, null=True, on_delete=models.CASCADE, related_name="derived_versions")
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    # Later while a worker holds the lease, or after a failure
    free_at = models.DateTimeField(default=timezone.now, db_default=Now())
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "registry"
        indexes = [models.Index(fields=["free_at"], name="derived_version_job", condition=Q(finished_at__isnull=True))]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running", "done", "refused", "errored"]),
                name="derived_version_state_known",
            )
        ]

    def __str__(self) -> str:
        return f"{self.method} into {self.ref}"

    @property
    def is_final(self) -> bool:
        return self.finished_at is not None


class DerivedSource(models.Model):
    """One source of a derived version; name and commit stay when the source is deleted."""

    derived = models.ForeignKey(DerivedVersion, on_delete=models.CASCADE, related_name="sources")
    position = models.PositiveSmallIntegerField()
    revision = models.ForeignKey(Revision, null=True, on_delete=models.SET_NULL, related_name="derivations")
    name = models.CharField(max_length=200)  # namespace/name, as it was
    oid = models.CharField(max_length=40)
    weight = models.FloatField(default=1.0, db_default=1.0)  # in a merge

    class Meta:
        app_label = "registry"
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["derived", "position"], name="derived_source_unique")]

    def __str__(self) -> str:
        return f"{self.name}@{self.oid}"

    @property
    def current_name(self) -> str:
        """The name of its repository today; the one that it had, if it is deleted."""
        return self.revision.repository.full_name if self.revision else self.name
