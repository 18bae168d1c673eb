"""Requests for access to gated repositories, and the owners' decisions."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.repos.repositories import Repository


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
