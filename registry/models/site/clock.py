"""The lease of the clock: of all processes that could run the schedule, one does."""

from django.db import models


class ClockLease(models.Model):
    """The only row says which process runs the schedule, and until when another one may not take over."""

    name = models.CharField(max_length=20, primary_key=True)
    holder = models.CharField(max_length=300)
    until = models.DateTimeField()

    class Meta:
        verbose_name = "lease of the clock"
        verbose_name_plural = "lease of the clock"

    def __str__(self) -> str:
        return f"{self.holder} until {self.until}"
