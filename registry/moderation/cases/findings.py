"""The hub's own findings: hostile verdicts and holds become cases, and its access tokens in text files are revoked."""

from collections.abc import Callable

from dovetail.adapters.checks.privacy import ARGUMENTS, TEXTS
from dovetail.adapters.readers.folder import MAX_TEXT_BYTES
from dovetail.adapters.results.report import CheckResult
from registry.bytes.blobs import Keys, store
from registry.kernel import outbox
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
from registry.moderation import rules, targets
from registry.moderation.cases import intake
from registry.moderation.cases.evidence import Evidence
from registry.people.tokens import tokens
from registry.proof.verified.withdrawals import LINEAGE
from registry.repos import pull
from registry.repos.manifest import Entry

MAX_FILES = 50


def revoke(revision: Revision) -> list[str]:
    """Revoke the tokens of this hub that a revision's text files hold; return the path of each such file.

    Those of files that came with a commit were revoked by the push. Raises StoreUnavailable.
    """
    found = {}
    for entry in _texts(revision):
        with store().open(Keys.blob(entry.sha256)) as reader:
            found[entry.path] = tokens.candidates(reader.read(MAX_TEXT_BYTES))
    return tokens.revoke_in(found, revision.repository, revision)


def _texts(revision: Revision) -> list[Entry]:
    rows = sorted(pull.entries(revision).values(), key=lambda entry: entry.path)
    return [row for row in rows if row.path.lower().endswith((*TEXTS, ARGUMENTS)) and row.size <= MAX_TEXT_BYTES][
        :MAX_FILES
    ]


Reason = Case.Reason
HELD = "hub.hold"
SECRET = "privacy.secret"  # noqa: S105  # a check id
REASONS = {rules.PICKLE: Reason.MALWARE, rules.BLOCKED_FILE: Reason.MALWARE, rules.LIVE_SECRET: Reason.SECRET}


def consume(event: OutboxEvent) -> None:
    """Open a case for what the event found, if it found something."""
    if consumer := CONSUMERS.get(event.kind):
        consumer(event)


def _verdict_reached(event: OutboxEvent) -> None:
    rows = Verdict.objects.select_related("revision__repository__namespace", "revision__author")
    verdict = rows.filter(pk=event.data["verdict"]).first()
    if verdict is None:
        return
    revision = verdict.revision
    was_held = revision.is_quarantined
    for check in verdict.report.checks:
        if check.id == rules.PICKLE and check.outcome == "failed" and check.where.get("quarantine") and not was_held:
            _observe(revision, rules.PICKLE, Reason.MALWARE, check)
        if _is_secret(check):
            revoked = revoke(revision)  # of a held version too: its readers have the token already
            if not was_held and not revoked:  # else an event of its own follows
                _observe(revision, SECRET, Reason.SECRET, check)


def _is_secret(check: CheckResult) -> bool:
    return check.id == SECRET and check.outcome in ("failed", "warned")


def reads_files(event: OutboxEvent) -> bool:
    """Return whether `consume` reads files of the store for this event, which a page must not wait for."""
    if event.kind != Kind.VERDICT_REACHED:
        return False
    verdict = Verdict.objects.filter(pk=event.data["verdict"]).first()
    return verdict is not None and any(map(_is_secret, verdict.report.checks))


def _tokens_leaked(event: OutboxEvent) -> None:
    """Open a case for a revision that held an access token of this hub."""
    files, oid = event.data.get("files"), event.data.get("revision")
    rows = Revision.objects.select_related("repository__namespace", "author")
    revision = rows.filter(repository=outbox.snapshot(event).id, oid=oid).first() if event.repository else None
    if revision is None or revision.is_quarantined:
        return
    text = f"{', '.join(files)} holds an access token of this hub that worked. The token was revoked: make a new one."
    evidence = [Evidence(commit=revision.oid, file=files[0])]
    intake.observe(targets.of_revision(revision), rules.LIVE_SECRET, Reason.SECRET, text, evidence)


def _observe(revision: Revision, finding: str, reason: str, check: CheckResult) -> None:
    text = f"{check.message} {check.fix}".strip()
    file = str(check.where.get("file"))  # strangers' bytes may have led to the report: a file of the version, or none
    evidence = [Evidence(commit=revision.oid, file=file if file in pull.entries(revision) else "")]
    intake.observe(targets.of_revision(revision), finding, reason, text, evidence)


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
    Kind.TOKENS_LEAKED: _tokens_leaked,
}
