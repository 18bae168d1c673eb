"""Requests that were sent with an Idempotency-Key, and the answers to them."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class IdempotentRequest(models.Model):
    """A request of one caller under a key of their own; without an answer it is being worked on."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    credential = models.CharField(max_length=24)  # id of the token; empty for a session
    key = models.CharField(max_length=64)  # sha256
    request = models.CharField(max_length=64)  # sha256 of method, address and body
    answer = models.BinaryField(null=True)  # encrypted with the key: registry/kernel/idempotency.py
    begun_at = models.DateTimeField(default=timezone.now, db_default=Now(), db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "credential", "key"], name="idempotent_request_unique")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.key[:7]}"
