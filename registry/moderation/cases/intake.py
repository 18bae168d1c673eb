"""Opens cases: people report something, the hub observes something; both land in the open case of the target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from registry.kernel import audit, policy
from registry.kernel.errors import NotAllowed, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import AbuseReport, Case, User
from registry.models.moderation.cases import FORMER_REASONS
from registry.moderation import rules
from registry.moderation.cases.evidence import Evidence
from registry.moderation.targets import Target

MAX_TEXT = 10_000
SEVERITY: dict[str, int] = {
    Case.Reason.MALWARE: 3,
    Case.Reason.BACKDOOR: 3,
    Case.Reason.SECRET: 3,
    Case.Reason.ILLEGAL: 3,
    Case.Reason.PERSONAL_DATA: 2,
    Case.Reason.LICENSE: 2,
    Case.Reason.SQUATTING: 2,
    Case.Reason.SPAM: 1,
    Case.Reason.BROKEN: 1,
    Case.Reason.OTHER: 1,
}


@dataclass(frozen=True)
class Filed:
    """The case that took a report, and whether the report opened it."""

    case: Case
    is_new: bool


def report(target: Target, by: Caller, *, reason: str, text: str = "", evidence: Sequence[Evidence] = ()) -> Filed:
    """File somebody's report in the open case of the target, which is opened if there is none.

    A second report by the same person replaces their text and adds to their evidence. Raises SignInRequired,
    NotAllowed for a lesser token and for reporting oneself, ValueInvalid for an unknown reason.
    """
    person = policy.require_person(by, "report something")
    reason = FORMER_REASONS.get(reason, reason)
    if reason not in Case.Reason.values:
        known = ", ".join(Case.Reason.values)
        raise ValueInvalid(f"There is no reason {reason!r}.", fix=f"Use one of {known}.")
    if target.namespace is not None and target.namespace.pk == person.namespace_id and target.repository is None:
        raise NotAllowed("You cannot report yourself.", fix="Write to the moderators of this hub.")
    text = names.check_text(text, "text", MAX_TEXT)
    given = [item.as_json() for item in evidence]

    def file(case: Case) -> None:
        row, is_first = AbuseReport.objects.get_or_create(
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

    def file(case: Case) -> None:
        AbuseReport.objects.get_or_create(
            case=case,
            check_id=check_id,
            by_hub=True,
            defaults={"reason": reason, "text": text[:MAX_TEXT], "evidence": [item.as_json() for item in evidence]},
        )

    return _file(target, reason, file, None)


def _file(target: Target, reason: str, file: Callable[[Case], None], by: User | None) -> Filed:
    """Write a report into the open case of a target, raise the case's severity, and ask the rules."""
    with transaction.atomic():
        case, is_new = _open_case(target, reason)
        file(case)
        case.updated_at = timezone.now()
        if SEVERITY[reason] > case.severity:
            case.reason, case.severity = reason, SEVERITY[reason]
        case.save(update_fields=["updated_at", "reason", "severity"])
        audit.record(by, "case:report" if by else "case:observe", case.label[:255], after={"case": case.pk})
        rules.apply(case)
    return Filed(case, is_new)


def _open_case(target: Target, reason: str) -> tuple[Case, bool]:
    """Return the open case of a target under its lock, made if there is none; two who make it at once get one."""
    for _ in range(3):  # a case that is closed between the two steps is a reason to look again
        try:
            with transaction.atomic():
                return Case.objects.create(
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
                    severity=SEVERITY[reason],
                ), True
        except IntegrityError as error:
            if "case_open_once" not in str(error) and "case.key" not in str(error):
                raise
        rows = Case.objects.select_for_update(of=("self",), no_key=True).exclude(state=Case.State.CLOSED)
        case = rows.select_related("repository__namespace", "revision", "namespace").filter(key=target.key).first()
        if case is not None:
            return case, False
    raise RuntimeError(f"The case of {target.key} is opened and closed all the time")
