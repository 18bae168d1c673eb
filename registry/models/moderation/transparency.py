"""The numbers of moderation by month, as the transparency page shows them."""

from django.db import models


class MonthOfModeration(models.Model):
    """The numbers of one month and the journal of its takedowns; registry/moderation/transparency.py computes them."""

    month = models.DateField(primary_key=True)  # its first day
    numbers = models.JSONField()
    journal = models.JSONField(default=list, db_default=[])
    computed_at = models.DateTimeField()

    class Meta:
        ordering = ["-month"]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"
