"""Cases for moderators, which people reported or the hub found, and what came of them: decisions, appeals, strikes.

Reports of one thing are one case, decided together. Here are also the files that nobody may push.
"""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from registry.models.accounts import Namespace
from registry.models.blobs import SHA256
from registry.models.repositories import Repository, Revision

FORMER_REASONS = {"licence": "license"}  # as 0.1 spelled them, and clients of that time send them


def reasons() -> list[tuple[str, str]]:
    """Return the reasons to report, as choices; migrations keep this function's name, so a new reason needs none."""
    return Case.Reason.choices


class Case(models.Model):
    """Everything that was reported about one target until moderators decide it.

    The rows that it is about may be deleted before it is decided, so `label` keeps their name.
    """

    class Target(models.TextChoices):
        REPOSITORY = "adapter"
        REVISION = "revision"
        FILE = "file"
        DISCUSSION = "discussion"
        COMMENT = "comment"
        PERSON = "person"
        ORGANIZATION = "organization"

    class Reason(models.TextChoices):
        """Why something is reported, the severity of its case (3 high, 1 low), and the text in the form of reports."""

        severity: int

        MALWARE = _("malware"), 3, _("Malware: it runs code or attacks those who load it")
        BACKDOOR = _("backdoor"), 3, _("Backdoor or poisoned behaviour")
        SECRET = _("secret"), 3, _("A working secret: a token, a key, a password")
        ILLEGAL = _("illegal"), 3, _("Illegal content")
        PERSONAL_DATA = _("personal-data"), 2, _("Personal data, in the files or in the training data")
        LICENSE = _("license"), 2, _("License or ownership")
        SQUATTING = _("squatting"), 2, _("Squatting or impersonation")
        SPAM = _("spam"), 1, _("Spam")
        BROKEN = _("broken"), 1, _("Broken, or not what it says")
        OTHER = _("other"), 1, _("Something else")

        def __new__(cls, value: str, severity: int = 1) -> Self:
            reason = str.__new__(cls, value)
            reason._value_, reason.severity = value, severity
            return reason

    class State(models.TextChoices):
        OPEN = "open"
        CLAIMED = "claimed"
        CLOSED = "closed"

    class Outcome(models.TextChoices):
        NO_ACTION = "no-action", "No action"
        WARNED = "warned", "Warned"
        HIDDEN = "hidden", "Comment hidden"
        HELD_VERSION = "held-version", "Version quarantined"
        HELD = "held", "Quarantined as a whole"
        TAKEN_DOWN = "taken-down", "Taken down for good"
        SUSPENDED = "suspended", "Person suspended"

    target = models.CharField(max_length=12, choices=Target.choices)
    key = models.CharField(max_length=120)  # the target as a text; an open case is the only one of its key
    label = models.CharField(max_length=400)
    repository = models.ForeignKey(
        Repository, null=True, blank=True, on_delete=models.SET_NULL, related_name="cases"
    )  # null for a person or organisation, and once it is deleted
    revision = models.ForeignKey(Revision, null=True, blank=True, on_delete=models.SET_NULL, related_name="cases")
    path = models.CharField(max_length=1024, blank=True)
    discussion = models.ForeignKey(
        "registry.Discussion", null=True, blank=True, on_delete=models.SET_NULL, related_name="cases"
    )
    comment = models.ForeignKey(
        "registry.DiscussionEvent", null=True, blank=True, on_delete=models.SET_NULL, related_name="cases"
    )
    namespace = models.ForeignKey(  # of the repository, or the person or organisation themselves
        Namespace, null=True, blank=True, on_delete=models.SET_NULL, related_name="cases"
    )
    reason = models.CharField(max_length=16, choices=reasons)  # the gravest that was given
    severity = models.PositiveSmallIntegerField()  # of that reason
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN, db_default=State.OPEN)
    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="claimed_cases"
    )
    outcome = models.CharField(max_length=16, choices=Outcome.choices, blank=True)
    answer = models.CharField(max_length=500, blank=True)  # the reason of the decision, for reporters and owners
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="closed_cases"
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    updated_at = models.DateTimeField(default=timezone.now, db_default=Now())  # when something was last reported
    closed_at = models.DateTimeField(null=True, blank=True)
    alarmed_at = models.DateTimeField(null=True, blank=True)  # when moderators were last told that it waits too long

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key"], name="case_open_once", condition=~Q(state="closed")),
            models.CheckConstraint(
                condition=Q(state="closed", closed_at__isnull=False) & ~Q(outcome="")
                | Q(state__in=["open", "claimed"], closed_at__isnull=True, outcome=""),
                name="case_outcome_iff_closed",
            ),
            models.CheckConstraint(condition=Q(severity__in=[1, 2, 3]), name="case_severity_known"),
        ]
        indexes = [
            models.Index(fields=["-severity", "id"], name="case_waiting", condition=~Q(state="closed")),
            models.Index(fields=["-closed_at"], name="case_by_end", condition=Q(state="closed")),
        ]

    def __str__(self) -> str:
        return self.label


class AbuseReport(models.Model):
    """The report of one person in a case, or one finding of the hub itself."""

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="reports")
    by_hub = models.BooleanField(default=False, db_default=False)
    reporter = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="abuse_reports"
    )  # null for the hub, and for somebody whose account is gone
    check_id = models.CharField(max_length=64, blank=True)  # of the hub: the check or rule that found it
    reason = models.CharField(max_length=16, choices=reasons)
    text = models.TextField(blank=True)
    evidence = models.JSONField(default=list, db_default=[])  # evidence.Evidence, each as JSON
    upheld = models.BooleanField(null=True, blank=True)  # null until the case is closed
    at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["case", "reporter"], name="abuse_report_once"),
            models.UniqueConstraint(
                fields=["case", "check_id"], name="abuse_report_of_check_once", condition=Q(by_hub=True)
            ),
            models.CheckConstraint(
                condition=Q(by_hub=False, check_id="") | Q(by_hub=True, reporter__isnull=True) & ~Q(check_id=""),
                name="abuse_report_has_source",
            ),
        ]
        indexes = [models.Index(fields=["reporter", "-id"], name="abuse_report_by_person")]

    def __str__(self) -> str:
        return f"{self.reporter or 'the hub'} on {self.case}"


class ModerationDecision(models.Model):
    """A decision about a repository or one of its revisions; the newest one is in force."""

    class Action(models.TextChoices):
        QUARANTINE = "quarantine"
        RELEASE = "release"
        TAKEDOWN = "takedown"  # for good: the files are gone, and nothing releases it

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="decisions")
    revision = models.ForeignKey(
        Revision, on_delete=models.CASCADE, null=True, blank=True, related_name="decisions"
    )  # None: about the whole repository
    action = models.CharField(max_length=16, choices=Action.choices)
    reason = models.CharField(max_length=500)
    note = models.TextField(blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="decisions"
    )  # None: the hub itself
    finding = models.CharField(max_length=64, blank=True)  # of the hub: the check or rule that found it
    case = models.ForeignKey(Case, on_delete=models.SET_NULL, null=True, blank=True, related_name="decisions")
    at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(action__in=["quarantine", "release", "takedown"]), name="moderation_decision_action_known"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="moderation_decision_has_reason"),
        ]


class BlockedFile(models.Model):
    """The digest of a file that moderators have blocked, with the reason that a person who pushes it reads."""

    sha256 = models.CharField(max_length=64, unique=True)
    tensors = models.CharField(max_length=64, blank=True, db_index=True)  # its TensorDigest, once that is known
    reason = models.CharField(max_length=500)
    note = models.TextField(blank=True)  # for moderators
    by = models.CharField(max_length=96)  # a name, not a key: the block outlives the account
    at = models.DateTimeField(default=timezone.now, db_default=Now())
    swept_at = models.DateTimeField(null=True, blank=True)  # when all revisions that hold it were held back
    held = models.PositiveIntegerField(default=0, db_default=0)  # revisions that were held back for it

    class Meta:
        verbose_name = "blocked file"
        constraints = [
            models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="blocked_file_sha256_shape"),
            models.CheckConstraint(condition=~Q(reason=""), name="blocked_file_has_reason"),
        ]

    def __str__(self) -> str:
        return self.sha256


class Strike(models.Model):
    """One strike against one person; it counts until it expires or is voided."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="strikes")
    points = models.PositiveSmallIntegerField(default=1, db_default=1)
    reason = models.CharField(max_length=500)
    case = models.ForeignKey(Case, null=True, blank=True, on_delete=models.SET_NULL, related_name="strikes")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )  # null: a rule, in releases whose rules gave strikes
    is_automatic = models.BooleanField(default=False, db_default=False)  # of those releases
    at = models.DateTimeField(default=timezone.now, db_default=Now())
    expires_at = models.DateTimeField()
    voided_at = models.DateTimeField(null=True, blank=True)
    voided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    void_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(points__gte=1), name="strike_has_points"),
            models.CheckConstraint(
                condition=Q(voided_at__isnull=True, void_reason="") | Q(voided_at__isnull=False) & ~Q(void_reason=""),
                name="strike_void_has_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"strike {self.pk} of {self.user}"


class Appeal(models.Model):
    """An owner's request to release what a decision holds back."""

    class State(models.TextChoices):
        OPEN = "open"
        APPROVED = "approved"
        REJECTED = "rejected"

    decision = models.ForeignKey(ModerationDecision, on_delete=models.CASCADE, related_name="appeals")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="appeals")
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN, db_default=State.OPEN)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["decision", "user"], name="appeal_open_once", condition=Q(state="open")),
            models.CheckConstraint(
                condition=Q(state="open", decided_at__isnull=True)
                | Q(state__in=["approved", "rejected"], decided_at__isnull=False),
                name="appeal_decided_iff_closed",
            ),
        ]
        indexes = [models.Index(fields=["id"], name="appeal_open", condition=Q(state="open"))]

    def __str__(self) -> str:
        return f"appeal {self.pk} of {self.user}"

    def get_absolute_url(self) -> str:
        return reverse("appeal", args=[self.pk])
