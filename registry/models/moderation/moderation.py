"""Decisions of moderators, appeals, strikes, files that nobody may push, and the numbers of moderation by month."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from registry.models.blobs import SHA256
from registry.models.moderation.cases import Case
from registry.models.repositories import Repository, Revision


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


class BlockedFile(models.Model):
    """The digest of a file that moderators have blocked, with the reason that a person who pushes it reads."""

    sha256 = models.CharField(max_length=64, unique=True)
    tensors = models.CharField(max_length=64, blank=True, db_index=True)  # its TensorDigest, once that is known
    reason = models.CharField(max_length=500)
    note = models.TextField(blank=True)  # for moderators
    by = models.CharField(max_length=96)  # a name, not a key: the block outlives the account
    at = models.DateTimeField(default=timezone.now, db_default=Now())
    swept_at = models.DateTimeField(null=True, blank=True)  # when all revisions that hold it were held back
    held = models.PositiveIntegerField(default=0, db_default=0)  # revisions that were held back for it

    class Meta:
        verbose_name = "blocked file"
        constraints = [
            models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="blocked_file_sha256_shape"),
            models.CheckConstraint(condition=~Q(reason=""), name="blocked_file_has_reason"),
        ]

    def __str__(self) -> str:
        return self.sha256


class Strike(models.Model):
    """One strike against one person; it counts until it expires or is voided."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="strikes")
    points = models.PositiveSmallIntegerField(default=1, db_default=1)
    reason = models.CharField(max_length=500)
    case = models.ForeignKey(Case, null=True, blank=True, on_delete=models.SET_NULL, related_name="strikes")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )  # null: a rule, in releases whose rules gave strikes
    is_automatic = models.BooleanField(default=False, db_default=False)  # of those releases
    at = models.DateTimeField(default=timezone.now, db_default=Now())
    expires_at = models.DateTimeField()
    voided_at = models.DateTimeField(null=True, blank=True)
    voided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    void_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(points__gte=1), name="strike_has_points"),
            models.CheckConstraint(
                condition=Q(voided_at__isnull=True, void_reason="") | Q(voided_at__isnull=False) & ~Q(void_reason=""),
                name="strike_void_has_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"strike {self.pk} of {self.user}"


class Appeal(models.Model):
    """An owner's request to release what a decision holds back."""

    class State(models.TextChoices):
        OPEN = "open"
        APPROVED = "approved"
        REJECTED = "rejected"

    decision = models.ForeignKey(ModerationDecision, on_delete=models.CASCADE, related_name="appeals")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="appeals")
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN, db_default=State.OPEN)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["decision", "user"], name="appeal_open_once", condition=Q(state="open")),
            models.CheckConstraint(
                condition=Q(state="open", decided_at__isnull=True)
                | Q(state__in=["approved", "rejected"], decided_at__isnull=False),
                name="appeal_decided_iff_closed",
            ),
        ]
        indexes = [models.Index(fields=["id"], name="appeal_open", condition=Q(state="open"))]

    def __str__(self) -> str:
        return f"appeal {self.pk} of {self.user}"

    def get_absolute_url(self) -> str:
        return reverse("appeal", args=[self.pk])
