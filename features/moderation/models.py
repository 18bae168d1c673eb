"""Notes on cases, the views of the queue that moderators keep, and the messages of appeals.

Cases, reports, strikes and appeals are tables of the core: decisions, alerts and the numbers of moderation name them.
"""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models import Appeal, Case


class CaseNote(models.Model):
    """A note of a moderator on a case, for moderators only."""

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    text = models.TextField()
    at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        ordering = ["pk"]


class QueueView(models.Model):
    """Filters of the queue that a moderator gave a name."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="queue_views")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=400)  # the query string of /moderation

    class Meta:
        app_label = "registry"
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="queue_view_unique")]

    def __str__(self) -> str:
        return self.name


class AppealMessage(models.Model):
    """One message of an appeal; internal ones are notes that only moderators read."""

    appeal = models.ForeignKey(Appeal, on_delete=models.CASCADE, related_name="messages")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    of_moderator = models.BooleanField()
    is_internal = models.BooleanField(default=False, db_default=False)
    text = models.TextField()
    at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(is_internal=False) | models.Q(of_moderator=True), name="appeal_note_of_moderator"
            )
        ]
