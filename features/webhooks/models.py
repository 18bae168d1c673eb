"""Webhooks and their deliveries."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone


class Webhook(models.Model):
    """An address to notify; the secret is stored in plain text, because every message carries it."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhooks")
    url = models.URLField(max_length=1000)
    domains = models.JSONField(default=list, db_default=[])  # repo, discussion
    secret = models.CharField(max_length=256, blank=True)
    disabled = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"

    def __str__(self) -> str:
        return self.url


class Watch(models.Model):
    """A subject that a webhook watches: a person, an organisation, or one repository."""

    class Type(models.TextChoices):
        USER = "user"
        ORG = "org"
        MODEL = "model"
        DATASET = "dataset"
        SPACE = "space"

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="watches")
    type = models.CharField(max_length=8, choices=Type.choices)
    name = models.CharField(max_length=200)  # as it was written
    folded = models.CharField(max_length=200)  # in lower case

    class Meta:
        verbose_name_plural = "watches"
        app_label = "registry"
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["webhook", "type", "folded"], name="watch_unique")]
        indexes = [models.Index(fields=["folded"], name="watch_by_name")]


class Delivery(models.Model):
    """One message to one webhook. The row is the job, as with verdicts."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        FAILED = "failed"

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    payload = models.JSONField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING, db_default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    due_at = models.DateTimeField(default=timezone.now, db_default=Now())
    status = models.PositiveSmallIntegerField(null=True, blank=True)  # HTTP status of the last attempt
    # One entry an attempt: at, status, answer or problem, milliseconds
    log = models.JSONField(default=list, db_default=[])
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(condition=Q(state__in=["waiting", "sent", "failed"]), name="delivery_state_known")
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="delivery_due"),
            models.Index(fields=["webhook", "-id"], name="delivery_by_webhook"),
            models.Index(fields=["created_at"], name="delivery_by_age"),
        ]
