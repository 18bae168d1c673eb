"""The seals of the audit log's events, and the places where it was cut."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models import AuditEvent
from registry.models.extensions import AppendOnly, AppendOnlyModel


class AuditSeal(AppendOnlyModel):
    """The place of one event in the chain: its hash covers the event and the hash before it."""

    sequence = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(AuditEvent, on_delete=models.PROTECT, related_name="seal")
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        app_label = "registry"
        constraints = [AppendOnly(name="audit_seal_kept")]

    def __str__(self) -> str:
        return f"seal {self.sequence}"


class AuditCheckpoint(AppendOnlyModel):
    """A cut by the retention command: the events up to this place were removed, and the chain goes on from its hash."""

    sequence = models.BigIntegerField(primary_key=True)  # of the last event that was removed
    hash = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now, db_default=Now())
    events = models.BigIntegerField()  # removed by this cut
    signature = models.CharField(max_length=200)

    class Meta:
        app_label = "registry"
        constraints = [AppendOnly(name="audit_checkpoint_kept")]

    def __str__(self) -> str:
        return f"checkpoint {self.sequence}"
