"""Limits of one person or organisation that administrators of the hub set, in place of the hub's own."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.people.people import Namespace


class NamespaceQuota(models.Model):
    """The limits of one namespace, and the last alert that its use came close to them."""

    namespace = models.OneToOneField(Namespace, on_delete=models.CASCADE, related_name="quota")
    bytes = models.BigIntegerField(null=True, blank=True)  # null: the hub's limit; 0: no limit
    repositories = models.PositiveIntegerField(null=True, blank=True)  # the same
    reason = models.CharField(max_length=300, blank=True)
    by = models.CharField(max_length=96, blank=True)  # the administrator; empty for the operator at the command line
    at = models.DateTimeField(default=timezone.now, db_default=Now())
    alerted = models.PositiveSmallIntegerField(default=0, db_default=0)  # percent of the last alert: 0, 80 or 100

    class Meta:
        verbose_name = "quota"
        constraints = [
            models.CheckConstraint(
                condition=Q(bytes__isnull=True) | Q(bytes__gte=0), name="namespace_quota_bytes_not_negative"
            ),
            models.CheckConstraint(condition=Q(alerted__in=[0, 80, 100]), name="namespace_quota_alert_known"),
        ]

    def __str__(self) -> str:
        return f"quota of {self.namespace}"
