"""Decisions of moderators or the hub itself about repositories, and the audit log of privileged acts."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from registry.models.repositories import Repository, Revision


class ModerationDecision(models.Model):
    """A decision about a repository or one of its revisions; the newest one is in force."""

    class Action(models.TextChoices):
        QUARANTINE = "quarantine"
        RELEASE = "release"

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="decisions")
    revision = models.ForeignKey(
        Revision, on_delete=models.CASCADE, null=True, blank=True, related_name="decisions"
    )  # None: about the whole repository
    action = models.CharField(max_length=16, choices=Action.choices)
    reason = models.CharField(max_length=500)
    note = models.TextField(blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="decisions"
    )  # None: the hub itself
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(action__in=["quarantine", "release"]), name="moderation_decision_action_known"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="moderation_decision_has_reason"),
        ]


class AuditEvent(models.Model):
    """One privileged act; rows are only ever added."""

    at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=96)  # a name, not a key: the log outlives the account
    action = models.CharField(max_length=64)  # noun:verb, e.g. adapter:quarantine
    object = models.CharField(max_length=255)
    reason = models.CharField(max_length=500, blank=True)
    note = models.TextField(blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    request_id = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = "event", "audit log"
        ordering = ["-id"]
        indexes = [models.Index(fields=["object", "-id"], name="audit_by_object")]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.object}"
