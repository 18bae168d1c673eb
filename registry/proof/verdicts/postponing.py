"""Verdicts of pushes that come in several commits: they wait for the last one (open_pushes.py)."""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from registry.models import Revision, Verdict
from registry.proof.verdicts import queue
from registry.proof.verdicts.asking import place, ring_again
from registry.proof.verdicts.rows import State

REASON = "Waiting for the rest of this push: its files come in several commits, and the last one gets the verdict."
LONGEST = timedelta(days=1)  # the queue's own bound; the end of the push comes long before


def postpone(verdict: Verdict) -> None:
    """Take a new verdict out of the queue until its push has ended; call it in the transaction that queued it."""
    untouched = Verdict.objects.filter(pk=verdict.pk, state=State.QUEUED, attempt=0)
    untouched.update(reason=REASON, not_before=Now() + LONGEST, **queue.NOWHERE)


def resume(revision: Revision) -> None:
    """Queue the verdict that was postponed, if there is one: the push has ended with this revision."""
    for verdict in _postponed(revision).select_related("revision__repository", "revision__author"):
        placed = place(revision, verdict.base, verdict.format, verdict.cause)
        if _postponed(revision).filter(pk=verdict.pk).update(**placed):
            transaction.on_commit(lambda pk=verdict.pk: ring_again(pk), robust=True)  # type: ignore[misc]  # a loop variable


def drop_postponed(revision: Revision) -> None:
    """Delete the verdict that was postponed: a later commit of the same push gets one."""
    _postponed(revision).delete()


def incompleteness(revision: Revision) -> str:
    """Return a sentence that says what is missing in the revision of a push that broke off, else ""."""
    count = revision.files_missing
    if not count:
        return ""
    files = "One of the files" if count == 1 else f"{count:,} of the files"
    return f"{files} that this push announced never came, so it may be incomplete and is never `verified`. Push again."


def _postponed(revision: Revision) -> QuerySet[Verdict]:
    return Verdict.objects.filter(revision=revision, state=State.QUEUED, attempt=0, reason=REASON)
