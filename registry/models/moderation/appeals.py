"""Appeals of owners against what moderation holds back, and the messages in them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from registry.models.moderation.moderation import ModerationDecision


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


class AppealMessage(models.Model):
    """One message of an appeal; internal ones are notes that only moderators read."""

    appeal = models.ForeignKey(Appeal, on_delete=models.CASCADE, related_name="messages")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    of_moderator = models.BooleanField()
    is_internal = models.BooleanField(default=False, db_default=False)
    text = models.TextField()
    at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(is_internal=False) | Q(of_moderator=True), name="appeal_note_of_moderator"
            )
        ]
