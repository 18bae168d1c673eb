"""What people are told when one of their adapters stops working."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from registry.models.verdicts import Verdict


class Alert(models.Model):
    """One person told of one verdict: on the website, and by e-mail where that is set up and wanted."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alerts")
    verdict = models.ForeignKey(Verdict, on_delete=models.CASCADE, related_name="alerts")
    created_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True)
    mailed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "verdict"], name="alert_unique")]
        indexes = [models.Index(fields=["user"], name="alert_unread", condition=models.Q(read_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.user} of {self.verdict}"
