"""Decisions of moderators or the hub itself about repositories."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.moderation.cases import Case
from registry.models.repos.repositories import Repository, Revision


class ModerationDecision(models.Model):
    """A decision about a repository or one of its revisions; the newest one is in force."""

    class Action(models.TextChoices):
        QUARANTINE = "quarantine"
        RELEASE = "release"
        TAKEDOWN = "takedown"  # for good: the files are gone, and nothing releases it

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
    finding = models.CharField(max_length=64, blank=True)  # of the hub: the check or rule that found it
    case = models.ForeignKey(Case, on_delete=models.SET_NULL, null=True, blank=True, related_name="decisions")
    at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(action__in=["quarantine", "release", "takedown"]), name="moderation_decision_action_known"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="moderation_decision_has_reason"),
        ]
