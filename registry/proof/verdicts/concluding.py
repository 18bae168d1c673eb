"""The consequences of a verdict's last state: how it compares with the one before, and the event in the outbox."""

from registry.kernel import outbox
from registry.kernel.outbox import Kind
from registry.models import Ref, Verdict
from registry.proof import proofs
from registry.repos.refs import MAIN


def conclude(verdict_id: int) -> None:
    """Note what the verdict was proven with and whether the same bytes were judged otherwise before, and record it.

    Call it in the transaction in which the verdict got its last state.
    """
    verdict = Verdict.objects.select_related("revision__repository__namespace").get(pk=verdict_id)
    revision = verdict.revision
    finished = revision.verdicts.filter(finished_at__isnull=False, number__lt=verdict.number)
    before = finished.order_by("-number").values_list("state", flat=True).first() or ""
    report = verdict.report
    verdict.proven_with = proofs.digest(report.proven_with)
    verdict.changed_from = before if before != verdict.state else ""
    verdict.save(update_fields=["proven_with", "changed_from"])
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
        is_main=Ref.objects.filter(repository=revision.repository, name=MAIN, revision=revision).exists(),
    )
