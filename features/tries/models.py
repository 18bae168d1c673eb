"""Tries: texts that visitors gave to a base and an adapter, kept for an hour with the answers."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.repositories import Revision


class Tryout(models.Model):
    """A job and its result. `key` is its public id, which nobody can guess; only its author reads it."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"  # `reason` says why
        EXPIRED = "expired"  # no worker came to it in time

    key = models.CharField(max_length=32, unique=True)
    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="tryouts")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    network = models.CharField(max_length=64, blank=True)  # of a stranger: a keyed hash, to count by
    text = models.TextField()
    other = models.TextField(blank=True)  # the second text, where there is one
    new_tokens = models.PositiveSmallIntegerField()
    route = models.CharField(max_length=200)  # id of the base a worker must have, lower case
    engine = models.CharField(max_length=32)  # the one that passed the revision
    place = models.CharField(max_length=1024, blank=True)  # folder of the adapter, "" for the top
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED, db_default=State.QUEUED)
    reason = models.CharField(max_length=500, blank=True)
    answer = models.JSONField(null=True)  # dovetail.adapters.results.usage.Answer
    attempt = models.PositiveSmallIntegerField(default=0, db_default=0)
    fence = models.CharField(max_length=32, blank=True)  # token of the attempt that may write
    free_at = models.DateTimeField(db_default=Now())  # nobody has it from then on: the end of the lease, or of a pause
    asked_at = models.DateTimeField(default=timezone.now, db_default=Now(), db_index=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "registry"
        indexes = [models.Index(fields=["id"], name="tryout_open", condition=Q(finished_at__isnull=True))]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running"], finished_at__isnull=True)
                | Q(state__in=["done", "failed", "expired"], finished_at__isnull=False),
                name="tryout_finished_iff_final",
            )
        ]

    def __str__(self) -> str:
        return f"Try {self.pk}"

    @property
    def is_final(self) -> bool:
        return self.finished_at is not None
