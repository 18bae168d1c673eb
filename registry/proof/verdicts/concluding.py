"""The consequences of a verdict's last state: how it compares with the one before, and the event in the outbox."""

from registry.kernel import outbox
from registry.kernel.outbox import Kind
from registry.models import Ref, Revision, Verdict
from registry.proof import proofs
from registry.proof.verdicts.rows import whole
from registry.proof.verified import regressions
from registry.repos import eligibility
from registry.repos.eligibility import ELIGIBLE, OVERRIDABLE
from registry.repos.refs import MAIN
from registry.sql.prepared import Prepared
from registry.sql.prepared_writes import PreparedUpdate


def conclude(verdict_id: int) -> tuple[Revision, str, str]:
    """Note what the verdict was proven with and whether the same bytes were judged otherwise before, and record it.

    Call it in the transaction in which the verdict got its last state. Return what `record_change` takes.
    """
    verdict = whole(verdict_id)
    revision = verdict.revision
    before, was_eligible = _BEFORE.first(revision.pk, verdict.number) or ("", "")
    report = verdict.report
    changed_from, kind = before if before != verdict.state else "", eligibility.judge(report)
    proven_with = proofs.digest(report.proven_with)
    _NOTE(verdict=verdict.pk, proven_with=proven_with, changed_from=changed_from, eligibility=kind)
    is_main = bool(_IS_MAIN(revision.pk))
    check, _ = proofs.refusal(report)
    outbox.record(
        Kind.VERDICT_REACHED,
        revision.repository,
        verdict=verdict.pk,
        revision=revision.oid,
        number=verdict.number,
        state=verdict.state,
        was=before or None,
        check=check or None,
        incomplete=revision.files_missing > 0,
        is_main=is_main,
    )
    return revision, was_eligible if is_main else "", kind if is_main else ""


def record_change(revision: Revision, was: str, now: str) -> None:
    """Record that a version of main does not become `verified` since it adds nothing, or that it may again.

    Call it after `move_verified`, which compares the version anew: a regression may hold it back now.
    """
    is_let_in, is_held = now in ELIGIBLE and was in OVERRIDABLE, now in OVERRIDABLE and was not in OVERRIDABLE
    row = regressions.regression_of(revision) if is_let_in or is_held else None
    if is_let_in and not (row and row.is_held):
        regressions.record(revision, "It adds something now.", was, held=False)
    elif is_held and not (row and row.is_overridden):
        regressions.record(revision, eligibility.REASONS[now][0], now, held=True)


_BEFORE = Prepared(
    lambda revision, number: (
        Verdict.objects.filter(revision=revision, finished_at__isnull=False, number__lt=number)
        .order_by("-number")
        .values_list("state", "eligibility")[:1]
    ),
    int,
    int,
)
_NOTE = PreparedUpdate(lambda verdict, **columns: (Verdict.objects.filter(pk=verdict), columns))
_IS_MAIN = Prepared(lambda revision: Ref.objects.filter(name=MAIN, revision=revision).values_list("pk"), int)
