"""Searches of the catalogue that people keep."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models import Repository


class SavedSearch(models.Model):
    """The parameters of a search that a person gave a name; nobody else sees them."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_searches")
    name = models.CharField(max_length=80)
    type = models.CharField(max_length=8, choices=Repository.Type.choices)
    query = models.CharField(max_length=2000, blank=True)  # the query string of the catalogue
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        verbose_name_plural = "saved searches"
        app_label = "registry"
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["user", "name"], name="saved_search_unique"),
            models.CheckConstraint(condition=Q(type__in=["model", "dataset", "space"]), name="saved_search_type_known"),
        ]

    def __str__(self) -> str:
        return self.name
