"""Likes and follows."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.people.people import Namespace
from registry.models.repos.repositories import Repository


class Like(models.Model):
    """A person likes a repository; Repository.likes counts these rows."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="liked_by")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="likes")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "user"], name="like_unique")]


class Follow(models.Model):
    """A person follows another person or an organisation."""

    follower = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="follows")
    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="followed_by")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["follower", "namespace"], name="follow_unique")]
