"""Rules of retention."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models import Namespace, Repository


class RetentionRule(models.Model):
    """A number of versions to keep: of one repository, or of an owner's repositories without a rule of their own."""

    namespace = models.OneToOneField(Namespace, null=True, on_delete=models.CASCADE, related_name="retention")
    repository = models.OneToOneField(Repository, null=True, on_delete=models.CASCADE, related_name="retention")
    keep_last = models.PositiveIntegerField(null=True)  # of each branch; null: every version, in spite of the owner's
    keep_days = models.PositiveIntegerField(default=1, db_default=1)  # younger versions stay, whatever their number
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField(default=timezone.now, db_default=Now())
    # When the clock applies it next
    due_at = models.DateTimeField(default=timezone.now, db_default=Now(), db_index=True)
    # The row id of the repository that was looked at last in this round
    reached = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        app_label = "registry"
        constraints = [
            models.CheckConstraint(
                condition=Q(namespace__isnull=False, repository__isnull=True)
                | Q(namespace__isnull=True, repository__isnull=False),
                name="retention_rule_of_one",
            ),
            models.CheckConstraint(
                condition=Q(keep_last__isnull=True) | Q(keep_last__gte=1), name="retention_rule_keeps_one"
            ),
            models.CheckConstraint(condition=Q(keep_days__gte=1), name="retention_rule_keeps_a_day"),
        ]

    def __str__(self) -> str:
        return f"retention of {self.repository or self.namespace}"
