"""Likes of repositories; follows are tables of the core, because others tell followers of news."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models import Repository


class Like(models.Model):
    """A person likes a repository; Repository.likes counts these rows."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="liked_by")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="likes")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        constraints = [models.UniqueConstraint(fields=["repository", "user"], name="like_unique")]
