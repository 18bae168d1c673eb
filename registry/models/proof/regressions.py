"""Comparisons of versions with the verified one before them, and the owners' overrides of what `verified` asks for."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.proof.verdicts import Verdict
from registry.models.repos.repositories import Revision

MAX_REASON = 500


class Regression(models.Model):
    """The comparison of one revision with the one that `verified` would name without it, as their verdicts are now.

    It is recomputed when one of the two verdicts changes, or another revision comes before it; the override stays. That
    is about the revision: it also lets one in that adds nothing, and then a row without `against` may hold it.
    """

    class Outcome(models.TextChoices):
        BETTER = "better"
        EQUAL = "equal"  # no difference beyond chance
        WORSE = "worse"  # beyond chance: `verified` does not move here unless an owner overrides it
        INCOMPARABLE = "incomparable"

    revision = models.OneToOneField(Revision, on_delete=models.CASCADE, related_name="regression")
    verdict = models.ForeignKey(Verdict, on_delete=models.CASCADE, related_name="+")
    against = models.ForeignKey(Revision, null=True, on_delete=models.SET_NULL, related_name="+")
    against_verdict = models.ForeignKey(Verdict, null=True, on_delete=models.SET_NULL, related_name="+")
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    result = models.JSONField(default=dict, db_default={})  # regression_rule.Result, without its outcome
    compared_at = models.DateTimeField(default=timezone.now, db_default=Now())
    override_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    override_reason = models.CharField(max_length=MAX_REASON, blank=True)
    override_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=["better", "equal", "worse", "incomparable"]), name="regression_outcome_known"
            ),
            models.CheckConstraint(
                condition=Q(override_at__isnull=True, override_reason="")
                | (Q(override_at__isnull=False, override_by__isnull=False) & ~Q(override_reason="")),
                name="regression_override_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.revision_id}: {self.outcome}"

    @property
    def is_overridden(self) -> bool:
        return self.override_at is not None

    @property
    def is_held(self) -> bool:
        """True if `verified` passes the revision by for this comparison."""
        return self.outcome == self.Outcome.WORSE and self.override_at is None
