"""Strikes: the ledger of what moderation held against a person. A strike lapses, or is voided with a reason."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.moderation.cases import Case


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
