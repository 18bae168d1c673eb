"""The feed of changes to repositories, in one order, for mirrors and other servers."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from registry.models.repositories import Repository


class Event(models.Model):
    """One change, written in its transaction and numbered after the commit: a row with a `seq` is final."""

    class Kind(models.TextChoices):
        PUSH = "push"
        VERDICT = "verdict"
        QUARANTINE = "quarantine"
        RELEASE = "release"
        DELETE = "delete"
        MOVE = "move"
        RESTORE = "restore"
        YANK = "yank"
        UNYANK = "unyank"
        ALIAS = "alias"
        REGRESSION = "regression"
        TAG_RELEASE = "tag-release"  # RELEASE is of what moderation held back

    seq = models.BigIntegerField(null=True, blank=True, unique=True)
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=12, choices=Kind.choices)
    repository = models.ForeignKey(Repository, null=True, on_delete=models.SET_NULL, related_name="events")
    type = models.CharField(max_length=8, choices=Repository.Type.choices)
    name = models.CharField(max_length=200)  # its name at that time
    was_public = models.BooleanField()
    revision = models.CharField(max_length=40, blank=True)
    data = models.JSONField(default=dict, db_default={})

    class Meta:
        indexes = [models.Index(fields=["id"], name="event_unnumbered", condition=Q(seq__isnull=True))]

    def __str__(self) -> str:
        return f"{self.seq}: {self.kind} {self.name}"
