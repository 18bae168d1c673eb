"""The numbers of moderation that are kept for each month."""

from django.db import models


class MonthOfModeration(models.Model):
    """The numbers of one month and the journal of its takedowns; features/transparency/verbs.py computes them."""

    month = models.DateField(primary_key=True)  # its first day
    numbers = models.JSONField()
    journal = models.JSONField(default=list, db_default=[])
    computed_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "months of moderation"
        app_label = "registry"
        ordering = ["-month"]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"
