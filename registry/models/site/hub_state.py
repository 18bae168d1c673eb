"""The hub's own rows: settings, the lease of its clock, upgrades of its tables, requests that may be repeated."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class SiteSetting(models.Model):
    """One named value; registry/kernel/site_settings.py knows the names, their choices and their first values."""

    name = models.CharField(max_length=64, primary_key=True)
    value = models.TextField(blank=True)


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


class SchemaUpgrade(models.Model):
    """One release whose `migrate` changed the tables. The newest row describes them as they are."""

    release = models.CharField(max_length=32)
    serves_from = models.CharField(max_length=32)  # the oldest release whose code works on these tables
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.release}, for code of {self.serves_from} and later"


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
