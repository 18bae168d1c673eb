"""The sign-ins of programs that are in progress."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone


class DeviceLogin(models.Model):
    """One sign-in in progress; only a digest of the device code is stored, as of a token."""

    class State(models.TextChoices):
        WAITING = "waiting"
        APPROVED = "approved"
        DENIED = "denied"

    sha256 = models.CharField(max_length=64, unique=True)  # of the device code
    user_code = models.CharField(max_length=8, unique=True)  # typed by the person, without the hyphen
    client = models.CharField(max_length=100, blank=True)  # the program's own name
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING, db_default=State.WAITING)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="device_logins"
    )
    # Of the token that it will get: read or write
    role = models.CharField(max_length=8, default="write", db_default="write")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    expires_at = models.DateTimeField()
    polled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "registry"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "approved", "denied"]), name="device_login_state_known"
            ),
            models.CheckConstraint(condition=Q(role__in=["read", "write"]), name="device_login_role_known"),
            models.CheckConstraint(
                condition=~Q(state="approved") | Q(user__isnull=False), name="device_login_approved_by_somebody"
            ),
        ]
        indexes = [models.Index(fields=["expires_at"], name="device_login_expires_at")]
