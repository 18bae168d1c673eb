"""Opens cases: people report something, the hub observes something; both reach the open case of the target.

Then the rules are asked by which the hub holds back at once what a case is about; docs/moderation.md lists them.
Findings of the hub never count as reporters: a rule about reports needs people.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from features.moderation import targets
from features.moderation.evidence import Evidence
from features.moderation.targets import Target
from registry import models
from registry.kernel import audit, policy
from registry.kernel.errors import NotAllowed, ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models.moderation import FORMER_REASONS
from registry.moderation.findings import BLOCKED_FILE, LIVE_SECRET, PICKLE, SECRET
from registry.proof.verified import withdrawals

Reason = models.Case.Reason
HELD = "hub.hold"
REASONS: dict[str, str] = {
    PICKLE: Reason.MALWARE,
    BLOCKED_FILE: Reason.MALWARE,
    LIVE_SECRET: Reason.SECRET,
    SECRET: Reason.SECRET,
}
LOOK_ALIKE = "name.look-alike"
ATTACKS = frozenset({Reason.MALWARE.value, Reason.BACKDOOR.value})
MAX_TEXT = 10_000


@dataclass(frozen=True)
class Filed:
    """The case that took a report, and whether the report opened it."""

    case: models.Case
    is_new: bool


def report(target: Target, by: Caller, *, reason: str, text: str = "", evidence: Sequence[Evidence] = ()) -> Filed:
    """File somebody's report in the open case of the target, which is opened if there is none.

    A second report by the same person replaces their text and adds to their evidence. Raises SignInRequired,
    NotAllowed for a lesser token and for reporting oneself, ValueInvalid for an unknown reason.
    """
    person = policy.require_person(by, "report something")
    reason = FORMER_REASONS.get(reason, reason)
    if reason not in Reason.values:
        known = ", ".join(Reason.values)
        raise ValueInvalid(f"Unknown reason {reason!r}.", fix=f"Use one of {known}.")
    if target.namespace is not None and target.namespace.pk == person.namespace_id and target.repository is None:
        raise NotAllowed("You cannot report yourself.", fix="Write to the moderators of this hub.")
    text = names.check_text(text, "text", MAX_TEXT)
    given = [item.as_json() for item in evidence]

    def file(case: models.Case) -> None:
        row, is_first = models.AbuseReport.objects.get_or_create(
            case=case, reporter=person, defaults={"reason": reason, "text": text, "evidence": given}
        )
        if not is_first:
            row.reason, row.text, row.at = reason, text or row.text, timezone.now()
            row.evidence = [*row.evidence, *(item for item in given if item not in row.evidence)][:100]
            row.save(update_fields=["reason", "text", "at", "evidence"])

    return _file(target, reason, file, person)


def observe(target: Target, check_id: str, reason: str, text: str, evidence: Sequence[Evidence] = ()) -> Filed:
    """File a finding of the hub itself, once for each check and case; it never counts as a reporter.

    `check_id` names the check or rule that found it, such as file.pickle or names.look-alike.
    """

    def file(case: models.Case) -> None:
        models.AbuseReport.objects.get_or_create(
            case=case,
            check_id=check_id,
            by_hub=True,
            defaults={"reason": reason, "text": text[:MAX_TEXT], "evidence": [item.as_json() for item in evidence]},
        )

    return _file(target, reason, file, None)


def _file(target: Target, reason: str, file: Callable[[models.Case], None], by: models.User | None) -> Filed:
    """Write a report into the open case of a target, raise the case's severity, and ask the rules."""
    with transaction.atomic():
        case, is_new = _open_case(target, reason)
        file(case)
        case.updated_at = timezone.now()
        if Reason(reason).severity > case.severity:
            case.reason, case.severity = reason, Reason(reason).severity
        case.save(update_fields=["updated_at", "reason", "severity"])
        audit.record(by, "case:report" if by else "case:observe", case.label[:255], after={"case": case.pk})
        apply_rules(case)
    return Filed(case, is_new)


def _open_case(target: Target, reason: str) -> tuple[models.Case, bool]:
    """Return the open case of a target under its lock, made if there is none; two who make it at once get one."""
    for _ in range(3):  # a case that is closed between the two steps is a reason to look again
        try:
            with transaction.atomic():
                return models.Case.objects.create(
                    target=target.kind,
                    key=target.key,
                    label=target.label[:400],
                    repository=target.repository,
                    revision=target.revision,
                    path=target.path,
                    discussion=target.discussion,
                    comment=target.comment,
                    namespace=target.namespace,
                    reason=reason,
                    severity=Reason(reason).severity,
                ), True
        except IntegrityError as error:
            if "case_open_once" not in str(error) and "case.key" not in str(error):
                raise
        rows = models.Case.objects.select_for_update(of=("self",), no_key=True).exclude(state=models.Case.State.CLOSED)
        case = rows.select_related("repository__namespace", "revision", "namespace").filter(key=target.key).first()
        if case is not None:
            return case, False
    raise RuntimeError(f"The case of {target.key} is opened and closed all the time")


# --- rules ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Facts:
    """The facts of a case that rules ask for: the hub's findings, and the reporters of an attack."""

    findings: frozenset[str] = frozenset()
    reporters: int = 0  # distinct people who report malware or a backdoor
    trusted_reporters: int = 0  # those of them whom an administrator trusts


@dataclass(frozen=True)
class Rule:
    """A condition under which something is held back at once, and the reason that its owner reads."""

    name: str
    applies: Callable[[Facts], bool]
    reason: str
    finding: str = ""  # of the hub, upon which it applies


RULES = (
    Rule(
        "dangerous pickle",
        lambda facts: PICKLE in facts.findings,
        "A file in it is a pickle that can run code.",
        finding=PICKLE,
    ),
    Rule(
        "known-bad file",
        lambda facts: BLOCKED_FILE in facts.findings,
        "A file in it is on this hub's blocklist.",
        finding=BLOCKED_FILE,
    ),
    Rule(
        "live secret",
        lambda facts: LIVE_SECRET in facts.findings,
        "A file in it holds an access token of this hub that worked; the token was revoked.",
        finding=LIVE_SECRET,
    ),
    Rule(
        "trusted reports",
        lambda facts: facts.reporters >= 2 and facts.trusted_reporters >= 1,
        "Several people, one of them a trusted reporter, report that it attacks its users. A moderator reviews it.",
    ),
)


def rule_for(facts: Facts) -> Rule | None:
    """Return the first rule that applies."""
    return next((rule for rule in RULES if rule.applies(facts)), None)


def facts_of(case: models.Case) -> Facts:
    """Return what the rules need to know of a case; one query."""
    rows = case.reports.values_list("by_hub", "check_id", "reason", "reporter", "reporter__is_trusted_reporter")
    people = {
        reporter: bool(is_trusted)
        for by_hub, _, reason, reporter, is_trusted in rows
        if not by_hub and reporter is not None and reason in ATTACKS
    }
    findings = frozenset(check for by_hub, check, *_ in rows if by_hub)
    return Facts(findings, len(people), sum(people.values()))


def apply_rules(case: models.Case) -> Rule | None:
    """Hold back what the case is about if a rule says so; return that rule if it changed something.

    Call it in the transaction that files a report. A rule never holds back again what a moderator has released.
    """
    held = _held(case)
    rule = rule_for(facts_of(case)) if held is not None else None
    if held is None or rule is None or not withdrawals.hold(held, _reason_for(case, rule), case, finding=rule.finding):
        return None
    return rule


def _held(case: models.Case) -> models.Repository | models.Revision | None:
    """Return what a rule would hold back: the revision that a case names, else the whole repository."""
    if case.target in (models.Case.Target.REVISION, models.Case.Target.FILE):
        return case.revision
    return case.repository if case.target == models.Case.Target.REPOSITORY else None


def _reason_for(case: models.Case, rule: Rule) -> str:
    """Return the reason for the owner: what the hub found, if it found something, else the rule's own sentence."""
    finding = case.reports.filter(by_hub=True).exclude(text="").first() if rule.name != "trusted reports" else None
    return finding.text if finding else rule.reason


def found(revision: models.Revision, finding: str, text: str, file: str) -> models.Case:
    """Open a case for what was found in a version, and return it; its rules may hold the version back at once."""
    evidence = [Evidence(commit=revision.oid, file=file)]
    return observe(targets.of_revision(revision), finding, REASONS[finding], text, evidence).case


def consume(event: models.OutboxEvent) -> None:
    """Open a case for a hold or a name that the event is about, if it needs one."""
    if event.kind == Kind.QUARANTINED:
        _case_of_hold(event)
    elif event.kind == Kind.NAME_OBSERVED:
        _case_of_name(event)


def _case_of_hold(event: models.OutboxEvent) -> None:
    """Open a case for a hold that the hub made without one, so that a moderator reviews it."""
    rows = models.ModerationDecision.objects.select_related("repository__namespace", "revision__author")
    decision = rows.filter(pk=event.data.get("decision"), by__isnull=True, case__isnull=True).first()
    if decision is None or decision.finding == withdrawals.LINEAGE:  # the hold of its source is the one to review
        return
    if decision.revision is not None:
        decision.revision.repository = decision.repository
        target = targets.of_revision(decision.revision)
    else:
        target = targets.of_repository(decision.repository)
    finding = decision.finding or HELD
    reason = REASONS.get(finding, Reason.OTHER)
    filed = observe(target, finding, reason, decision.reason, [Evidence(commit=event.data["revision"])])
    models.ModerationDecision.objects.filter(pk=decision.pk).update(case=filed.case)


def _case_of_name(event: models.OutboxEvent) -> None:
    """Open a case for a name that looks like a well-known one."""
    row = models.NameObservation.objects.filter(pk=event.data["observation"]).first()
    target = _owner_of(row) if row else None
    if row is None or target is None:
        return
    text = f"{row.name} looks like {row.like}: {row.why}."
    observe(target, LOOK_ALIKE, Reason.SQUATTING, text)


def _owner_of(row: models.NameObservation) -> targets.Target | None:
    """Return the person, organisation or repository that an observation is about, None if it is gone."""
    namespace_name, _, name = row.name.partition("/")
    namespace = models.Namespace.objects.filter(name__lower=namespace_name.lower()).first()
    if namespace is None or not name:
        return targets.of_namespace(namespace) if namespace else None
    rows = models.Repository.objects.select_related("namespace").filter(namespace=namespace, name=name, type=row.kind)
    repository = rows.first()
    return targets.of_repository(repository) if repository else None
