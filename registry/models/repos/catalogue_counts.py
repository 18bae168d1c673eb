"""Counts of public repositories by the columns of facets, so that no list reads all of them to be counted."""

from django.db import models
from django.db.models import Q


class CatalogueCount(models.Model):
    """A number to add to the count of the publicly listed repositories that have these values in these columns.

    Triggers on repositories and people (registry/sql/count_triggers.py) add a row for each change; a worker folds the
    rows of the same values into one (counting.py). So the sum is right at any moment, and two pushes
    never wait for one row. Each change is counted twice: with its base, and without (`base` is null), because there are
    few groups of repositories where bases do not count.
    """

    type = models.CharField(max_length=8)
    base = models.CharField(max_length=200, null=True)  # "" is a value: no base; null: of any base
    kind = models.CharField(max_length=32)
    task = models.CharField(max_length=64)
    license = models.CharField(max_length=64)
    serves = models.CharField(max_length=300)
    state = models.CharField(max_length=8)
    outcome = models.CharField(max_length=8)
    is_verified = models.BooleanField()
    is_archived = models.BooleanField()
    is_gated = models.BooleanField()
    number = models.BigIntegerField()
    is_folded = models.BooleanField()

    class Meta:
        indexes = [
            models.Index(fields=["type", "base", "kind", "task", "license"], name="catalogue_count_group"),
            models.Index(fields=["type", "kind", "task", "license"], name="catalogue_count_kind"),
            models.Index(fields=["id"], name="catalogue_count_new", condition=Q(is_folded=False)),
        ]

    def __str__(self) -> str:
        return f"{self.number:+} {self.type} {self.kind} of {self.base}"
