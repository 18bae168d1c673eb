"""The outbox: events that their consumers have not handled yet."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone


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
        indexes = [models.Index(fields=["id"], name="outbox_waiting", condition=Q(given_up_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.pk}: {self.kind}"
