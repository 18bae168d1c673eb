"""The end of an appeal: a moderator answers it, or what it is about was released."""

from django.db.models.functions import Now

from registry.kernel import audit, outbox
from registry.kernel.outbox import Kind
from registry.models import Appeal, AppealMessage, Repository, Revision, User
from registry.proof.verified import withdrawals

State = Appeal.State


def answer(appeal: Appeal, actor: User, state: Appeal.State, reason: str) -> None:
    """Write the answer into an open appeal and close it; call it in a transaction that holds its lock."""
    AppealMessage.objects.create(appeal=appeal, author=actor, of_moderator=True, text=reason)
    appeal.state = state
    Appeal.objects.filter(pk=appeal.pk).update(state=state, decided_at=Now(), decided_by=actor)
    verb = "approve" if state == State.APPROVED else "reject"
    name = appeal.decision.repository.full_name
    audit.record(actor, f"appeal:{verb}", name, reason=reason, after={"appeal": appeal.pk})
    outbox.record(Kind.APPEAL_ANSWERED, None, actor, appeal=appeal.pk)


def approve_others(held: Repository | Revision, actor: User, reason: str, but: Appeal | None) -> None:
    """Approve the open appeals about what was released just now, but one; a later hold needs an appeal of its own."""
    rows = Appeal.objects.select_for_update(of=("self",), no_key=True).select_related("decision__repository__namespace")
    for appeal in rows.filter(decision__in=withdrawals.decisions_on(held), state=State.OPEN).order_by("pk"):
        if appeal != but:
            answer(appeal, actor, State.APPROVED, reason)
