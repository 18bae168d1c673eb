"""The hub's own rows: settings, leases, upgrades, requests that may be repeated, the outbox, and the audit log."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.extensions import AppendOnly, AppendOnlyModel


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


class ProcessReport(models.Model):
    """The resource usage of a worker or a clock at its last heartbeat."""

    process = models.CharField(max_length=200, primary_key=True)  # host:pid
    role = models.CharField(max_length=10)  # worker, clock
    at = models.DateTimeField(db_default=Now())
    usage = models.JSONField(default=dict, db_default={})  # registry.kernel.processes.Usage

    def __str__(self) -> str:
        return f"{self.role} {self.process}"


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


class OutboxEvent(models.Model):
    """One thing that happened, written in its transaction; the row is deleted once all its consumers have handled it.

    Consumers (registry/talk/dispatch.py) make feed entries, webhook deliveries and alerts of it. `repository` is how
    the repository was at that moment: it may be private, renamed or gone when the row is read.
    """

    class Kind(models.TextChoices):  # behind each its `data`
        CREATED = "repository-created"  # ref, revision
        DELETED = "repository-deleted"
        MOVED = "repository-moved"  # before, after: full names; owner: id of the namespace it goes to
        CONFIGURED = "repository-configured"  # visibility, gate, deprecation or archive
        QUARANTINED = "repository-quarantined"  # revision: "" for the whole repository; decision: row id
        RELEASED = "repository-released"  # the same
        RESTORED = "repository-restored"  # from the bin
        YANKED = "revision-yanked"  # revision, reason
        UNYANKED = "revision-unyanked"  # the same
        REGRESSION = "regression-changed"  # revision; held: `verified` passes it by, or no longer; against, reason
        ALIAS_MOVED = "alias-moved"  # alias, action, before, after: oids or null; revision: after or "", reason
        RELEASE_CREATED = "release-created"  # tag, title, prerelease, revision
        RELEASE_EDITED = "release-edited"  # the same
        RELEASE_DELETED = "release-deleted"  # the same; of what moderation releases tells RELEASED
        REF_MOVED = "ref-moved"  # ref, old, new: oids or null; is_push: false where a ref was made or deleted by name
        DISCUSSION_OPENED = "discussion-opened"  # discussion, is_news, mentions
        DISCUSSION_CHANGED = "discussion-changed"  # the same
        COMMENT_ADDED = "comment-added"  # the same, and comment
        COMMENT_CHANGED = "comment-changed"  # the same
        VERDICT_REACHED = "verdict-reached"  # verdict: row id; revision, number, state, was, check, incomplete, is_main
        ACCESS_ASKED = "access-asked"  # request: row id
        ACCESS_DECIDED = "access-decided"  # request: row id; person: row id; status
        NAME_OBSERVED = "name-observed"  # observation: row id; the repository that it is about, or none
        INVITED = "invited"  # invitation: row id; no repository
        CASE_CLOSED = "case-closed"  # case: row id; no repository, as for the rest
        STRUCK = "struck"  # strike: row id
        APPEALED = "appealed"  # appeal: row id
        APPEAL_ANSWERED = "appeal-answered"  # the same
        SIGNED_IN = "signed-in"  # person: row id; browser, address
        ACCOUNT_CHANGED = "account-changed"  # person: row id; change, details; former_address: where a letter goes
        TOKENS_LEAKED = "tokens-leaked"  # tokens: [{name, owner: row id or null}]; revision, files, if in a repository
        QUOTA_REACHED = "quota-reached"  # namespace: row id; owner, percent, bytes, limit
        QUOTA_CHANGED = "quota-changed"  # namespace: row id; owner, bytes, repositories, reason
        FANNED_OUT = "fanned-out"  # of: kind of the event; event: its data; after: row id of a person; more followers

    kind = models.CharField(max_length=24, choices=Kind.choices)
    at = models.DateTimeField(default=timezone.now, db_default=Now())
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    repository = models.JSONField(null=True)  # registry.kernel.outbox.Snapshot
    data = models.JSONField(default=dict, db_default={})
    pending = models.JSONField(null=True)  # names of the consumers that failed; null: nobody has tried yet
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    request_id = models.CharField(max_length=200, blank=True)  # of the request in which it happened
    due_at = models.DateTimeField(default=timezone.now, db_default=Now())
    given_up_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "outbox event"
        indexes = [models.Index(fields=["id"], name="outbox_waiting", condition=models.Q(given_up_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.pk}: {self.kind}"


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
