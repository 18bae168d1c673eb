"""What the hub found becomes cases: in files, by holds that it made alone, in names that look like well-known ones."""

from features.moderation import intake, targets
from features.moderation.evidence import Evidence
from registry.kernel.outbox import Kind
from registry.models import Case, ModerationDecision, NameObservation, Namespace, OutboxEvent, Repository, Revision
from registry.moderation.findings import BLOCKED_FILE, LIVE_SECRET, PICKLE, SECRET
from registry.proof.verified.withdrawals import LINEAGE

Reason = Case.Reason
HELD = "hub.hold"
REASONS: dict[str, str] = {
    PICKLE: Reason.MALWARE,
    BLOCKED_FILE: Reason.MALWARE,
    LIVE_SECRET: Reason.SECRET,
    SECRET: Reason.SECRET,
}


def found(revision: Revision, finding: str, text: str, file: str) -> Case:
    """Open a case for what was found in a version, and return it; its rules may hold the version back at once."""
    evidence = [Evidence(commit=revision.oid, file=file)]
    return intake.observe(targets.of_revision(revision), finding, REASONS[finding], text, evidence).case


def consume(event: OutboxEvent) -> None:
    """Open a case for a hold or a name that the event is about, if it needs one."""
    if event.kind == Kind.QUARANTINED:
        _held(event)
    elif event.kind == Kind.NAME_OBSERVED:
        _name_observed(event)


def _held(event: OutboxEvent) -> None:
    """Open a case for a hold that the hub made without one, so that a moderator reviews it."""
    rows = ModerationDecision.objects.select_related("repository__namespace", "revision__author")
    decision = rows.filter(pk=event.data.get("decision"), by__isnull=True, case__isnull=True).first()
    if decision is None or decision.finding == LINEAGE:  # the hold of its source is the one to review
        return
    if decision.revision is not None:
        decision.revision.repository = decision.repository
        target = targets.of_revision(decision.revision)
    else:
        target = targets.of_repository(decision.repository)
    finding = decision.finding or HELD
    reason = REASONS.get(finding, Reason.OTHER)
    filed = intake.observe(target, finding, reason, decision.reason, [Evidence(commit=event.data["revision"])])
    ModerationDecision.objects.filter(pk=decision.pk).update(case=filed.case)


def _name_observed(event: OutboxEvent) -> None:
    """Open a case for a name that looks like a well-known one."""
    row = NameObservation.objects.filter(pk=event.data["observation"]).first()
    target = _owner_of(row) if row else None
    if row is None or target is None:
        return
    text = f"{row.name} looks like {row.like}: {row.why}."
    intake.observe(target, intake.LOOK_ALIKE, Reason.SQUATTING, text)


def _owner_of(row: NameObservation) -> targets.Target | None:
    """Return the person, organisation or repository that an observation is about, None if it is gone."""
    namespace_name, _, name = row.name.partition("/")
    namespace = Namespace.objects.filter(name__lower=namespace_name.lower()).first()
    if namespace is None or not name:
        return targets.of_namespace(namespace) if namespace else None
    rows = Repository.objects.select_related("namespace").filter(namespace=namespace, name=name, type=row.kind)
    repository = rows.first()
    return targets.of_repository(repository) if repository else None
