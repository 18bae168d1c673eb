"""Likes, and follows of people, organisations and base models."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.accounts import Namespace
from registry.models.repositories import Repository


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


class BaseFollow(models.Model):
    """A person follows a base model, which need not be in the base cache."""

    follower = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="followed_bases")
    base = models.CharField(max_length=200)  # the id under which this hub knows it
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    asked_at = models.DateTimeField(null=True)  # when they asked administrators for it

    class Meta:
        constraints = [models.UniqueConstraint(fields=["base", "follower"], name="base_follow_unique")]

    def __str__(self) -> str:
        return f"{self.follower} follows {self.base}"
