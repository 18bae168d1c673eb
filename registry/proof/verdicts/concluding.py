"""The consequences of a verdict's last state: how it compares with the one before, and the event in the outbox."""

from registry.kernel import outbox
from registry.kernel.outbox import Kind
from registry.kernel.prepared import Prepared
from registry.kernel.prepared_writes import PreparedUpdate
from registry.models import Ref, Verdict
from registry.proof import proofs
from registry.proof.verdicts.rows import whole
from registry.repos.refs import MAIN


def conclude(verdict_id: int) -> None:
    """Note what the verdict was proven with and whether the same bytes were judged otherwise before, and record it.

    Call it in the transaction in which the verdict got its last state.
    """
    verdict = whole(verdict_id)
    revision = verdict.revision
    [before] = _BEFORE.first(revision.pk, verdict.number) or ("",)
    report = verdict.report
    changed_from = before if before != verdict.state else ""
    _NOTE(verdict=verdict.pk, proven_with=proofs.digest(report.proven_with), changed_from=changed_from)
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
        is_main=bool(_IS_MAIN(revision.pk)),
    )


_BEFORE = Prepared(
    lambda revision, number: (
        Verdict.objects.filter(revision=revision, finished_at__isnull=False, number__lt=number)
        .order_by("-number")
        .values_list("state")[:1]
    ),
    int,
    int,
)
_NOTE = PreparedUpdate(lambda verdict, **columns: (Verdict.objects.filter(pk=verdict), columns))
_IS_MAIN = Prepared(lambda revision: Ref.objects.filter(name=MAIN, revision=revision).values_list("pk"), int)
