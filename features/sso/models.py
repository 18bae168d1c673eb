"""Tokens by which a directory adds people and ends their access."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class DirectoryToken(models.Model):
    """A bearer token of SCIM, made by an administrator of the hub; only the sha256 of its value is kept."""

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)  # the beginning of its value, by which people tell tokens apart
    sha256 = models.CharField(max_length=64, unique=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()

    class Meta:
        app_label = "registry"
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def has_ended(self) -> bool:
        return self.expires_at <= timezone.now()
