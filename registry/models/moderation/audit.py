"""The audit log of privileged acts, the chain of hashes that seals it, and the points where its beginning was cut."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.append_only import AppendOnly, AppendOnlyModel


class AuditEvent(AppendOnlyModel):
    """One privileged act, written in the transaction that does it. Names and numbers, no keys: it outlives its rows."""

    at = models.DateTimeField(default=timezone.now, db_default=Now())
    actor = models.CharField(max_length=96)
    role = models.CharField(max_length=16, blank=True)  # of the actor at that time: user, moderator, admin
    credential = models.CharField(max_length=200, blank=True)  # session, token:NAME, publisher:…; empty: no request
    address = models.CharField(max_length=64, blank=True)  # as DOVETAIL_AUDIT_ADDRESS says
    user_agent = models.CharField(max_length=300, blank=True)
    request_id = models.CharField(max_length=200, blank=True)
    action = models.CharField(max_length=64)  # noun:verb, e.g. adapter:quarantine
    object = models.CharField(max_length=255)
    repository = models.BigIntegerField(null=True, blank=True)  # what it concerns, for its owners' page
    namespace = models.BigIntegerField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    note = models.TextField(blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    mac = models.CharField(max_length=80, blank=True)  # by the hub's key: a row that another program wrote has none

    class Meta:
        verbose_name, verbose_name_plural = "event", "audit log"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["object", "-id"], name="audit_by_object"),
            models.Index(fields=["actor", "-id"], name="audit_by_actor"),
            models.Index(fields=["action", "-id"], name="audit_by_action"),
            models.Index(fields=["repository", "-id"], name="audit_by_repository"),
            models.Index(fields=["namespace", "-id"], name="audit_by_namespace"),
        ]
        constraints = [AppendOnly(name="audit_event_kept")]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.object}"


class AuditSeal(AppendOnlyModel):
    """The place of one event in the chain: its hash covers the event and the hash before it."""

    sequence = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(AuditEvent, on_delete=models.PROTECT, related_name="seal")
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
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
        constraints = [AppendOnly(name="audit_checkpoint_kept")]

    def __str__(self) -> str:
        return f"checkpoint {self.sequence}"
