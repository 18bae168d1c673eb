"""The hub's own findings as cases: a verdict with a hostile check, a hold that the hub made; read from the outbox."""

from collections.abc import Callable

from dovetail.adapters.report import CheckResult
from registry.kernel.outbox import Kind
from registry.models import (
    Case,
    ModerationDecision,
    NameObservation,
    Namespace,
    OutboxEvent,
    Repository,
    Revision,
    Verdict,
)
from registry.moderation import intake, leaked_tokens, rules, targets
from registry.moderation.evidence import Evidence

Reason = Case.Reason
HELD = "hub.hold"
SECRET = "privacy.secret"  # noqa: S105  # a check id


def consume(event: OutboxEvent) -> None:
    """Open a case for what the event found, if it found something."""
    if consumer := CONSUMERS.get(event.kind):
        consumer(event)


def _verdict_reached(event: OutboxEvent) -> None:
    rows = Verdict.objects.select_related("revision__repository__namespace", "revision__author")
    verdict = rows.filter(pk=event.data["verdict"]).first()
    if verdict is None or verdict.revision.is_quarantined:
        return
    for check in verdict.report.checks:
        if check.id == rules.PICKLE and check.outcome == "failed" and check.where.get("quarantine"):
            _observe(verdict.revision, rules.PICKLE, Reason.MALWARE, check)
        if check.id == SECRET and check.outcome in ("failed", "warned"):
            revoked = leaked_tokens.revoke(verdict.revision)
            text = rules.LIVE_SECRET if revoked else SECRET
            _observe(verdict.revision, text, Reason.SECRET, check, revoked)


def _observe(
    revision: Revision, finding: str, reason: str, check: CheckResult, revoked: list[str] | None = None
) -> None:
    text = f"{check.message} {check.fix}".strip()
    if revoked:
        files = ", ".join(sorted(set(revoked)))
        text = f"{files} holds an access token of this hub that worked. The token was revoked: make a new one."
    evidence = [Evidence(commit=revision.oid, file=str(check.where.get("file") or ""))]
    intake.observe(targets.of_revision(revision), finding, reason, text, evidence)


def _held(event: OutboxEvent) -> None:
    """Open a case for a hold that the hub made without one, so that a moderator reviews it."""
    rows = ModerationDecision.objects.select_related("repository__namespace", "revision__author")
    decision = rows.filter(pk=event.data.get("decision"), by__isnull=True, case__isnull=True).first()
    if decision is None:
        return
    if decision.revision is not None:
        decision.revision.repository = decision.repository
        target = targets.of_revision(decision.revision)
    else:
        target = targets.of_repository(decision.repository)
    finding = _finding_of(decision.reason)
    reason = Reason.OTHER if finding == HELD else Reason.MALWARE
    filed = intake.observe(target, finding, reason, decision.reason, [Evidence(commit=event.data["revision"])])
    ModerationDecision.objects.filter(pk=decision.pk).update(case=filed.case)
    rules.strike(filed.case)  # the rule that filed it found it held already


def _finding_of(reason: str) -> str:
    """Return the finding behind a hold of the hub, by the sentence that its owner reads."""
    if "blocked on this hub" in reason:
        return rules.BLOCKED_FILE
    return rules.PICKLE if "pickle" in reason else HELD


def _name_observed(event: OutboxEvent) -> None:
    """Open a case for a name that looks like a well-known one."""
    row = NameObservation.objects.filter(pk=event.data["observation"]).first()
    target = _owner_of(row) if row else None
    if row is None or target is None:
        return
    text = f"{row.name} looks like {row.like}: {row.why}."
    intake.observe(target, rules.LOOK_ALIKE, Reason.SQUATTING, text)


def _owner_of(row: NameObservation) -> targets.Target | None:
    """Return the person, organisation or repository that an observation is about, None if it is gone."""
    namespace_name, _, name = row.name.partition("/")
    namespace = Namespace.objects.filter(name__lower=namespace_name.lower()).first()
    if namespace is None or not name:
        return targets.of_namespace(namespace) if namespace else None
    rows = Repository.objects.select_related("namespace").filter(namespace=namespace, name=name, type=row.kind)
    repository = rows.first()
    return targets.of_repository(repository) if repository else None


CONSUMERS: dict[str, Callable[[OutboxEvent], None]] = {
    Kind.VERDICT_REACHED: _verdict_reached,
    Kind.QUARANTINED: _held,
    Kind.NAME_OBSERVED: _name_observed,
}
