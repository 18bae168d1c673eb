"""Requests for verdicts: queue one, copy the one of equal files, notify workers, and tell why one waits.

The verdict of a push that comes in several commits is postponed until the last one (open_pushes.py).
"""

from collections.abc import Callable, Iterable
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from dovetail.adapters.formats import images
from dovetail.adapters.formats.bystanders import sighted, told
from registry.kernel import audit, policy, traces
from registry.kernel.errors import StoreUnavailable, VerdictNotApplicable
from registry.kernel.policy import Caller
from registry.models import Base, Comparison, Repository, Revision, User, Verdict
from registry.proof.verdicts import queue
from registry.proof.verdicts.queue import MAX_REASON, State, in_force_of, newest_of, show
from registry.proof.verified import regressions, withdrawals
from registry.proof.verified.verified import move_verified
from registry.repos import bases, lookup, pull
from registry.repos.contents import facts
from registry.repos.refs import MAIN, PULL_REQUESTS
from registry.sql.prepared import insert_row

Cause = Verdict.Cause
NOT_RUN = frozenset(images.ROWS)  # formats that no engine runs: they wait for no base, and their shapes are compared
LIBRARY = "adapters"  # the format of the adapters library: only the library can compute the tensors it needs
POSTPONED = "Waiting for the rest of this push: its files come in several commits, and the last one gets the verdict."
POSTPONED_MOST = timedelta(days=1)  # the queue's own bound; the end of the push comes long before


def request(
    revision: Revision, base: str, format_name: str = "", *, again: bool = False, cause: str = Cause.PUSH
) -> Verdict:
    """Queue a validation of the revision on the base that it names, and notify a worker after the commit.

    Returns the existing verdict if that is unfinished, or if it is finished and `again` is false. Call it in the
    transaction that creates the revision.
    """
    newest = latest(revision)
    if newest is not None and not (newest.is_final and again):
        show(newest)
        return newest
    base = bases.canonical_name(base)
    try:
        with transaction.atomic():
            number = newest.number + 1 if newest else 1
            family = format_name or (newest and newest.format) or revision.repository.format
            columns = {"cause": cause, "request_id": traces.current(), **place(revision, base, family, cause)}
            verdict = insert_row(Verdict(revision=revision, number=number, base=base, **columns))
    except IntegrityError:  # a concurrent request created it
        return Verdict.objects.get(revision=revision, number=newest.number + 1 if newest else 1)
    if newest is not None:
        Comparison.objects.filter(verdict__revision=revision).delete()  # they belong to the earlier verdict
    if cause != Cause.PUSH:  # a push shows its verdict with the other columns of main
        show(verdict)
    transaction.on_commit(lambda: notify_workers(verdict.pk), robust=True)  # a broker that is down never fails a push
    return verdict


class Return(queue.Place):
    """Columns of a row that enters or re-enters the queue."""

    owner_id: int | None
    route: str
    format: str
    reason: str
    not_before: None


def place(revision: Revision, base: str, format_name: str, cause: str) -> Return:
    """Return the columns of a row that enters or re-enters the queue: its turn, or the reason why it has none."""
    owner = _owner(revision) if cause in (Cause.PUSH, Cause.ASKED) else None  # the hub itself asks in all other cases
    row = bases.find_base(base)
    reason = why_wait(base, row, format_name, revision)
    return {
        "owner_id": owner,
        "route": route_to(row),
        "format": format_name,
        "reason": reason,
        "not_before": None,
        **(queue.NOWHERE if reason else queue.stand(owner)),
    }


def _owner(revision: Revision) -> int:
    """Return the namespace whose turns it uses: a stranger's proposal must not delay the owner's own verdicts.

    Only a proposal counts for its author. The author of a commit in a copy has nothing to do with the copy.
    """
    own, author = revision.repository.namespace_id, revision.author
    if revision.repository.source:
        return author.namespace_id  # all that is read from other hubs has one owner's turns
    if author.namespace_id == own or policy.may_write(Caller(user=author), revision.repository):
        return own
    names = revision.refs.values_list("name", flat=True)
    return author.namespace_id if names and all(name.startswith(PULL_REQUESTS) for name in names) else own


def adopt(revision: Revision, like: Revision) -> Verdict | None:
    """Copy the verdict of `like` to a revision with exactly the same files.

    If `like` is held back, so is the revision: a squash or a merge must not release files. Returns None if there is no
    verdict to copy yet. Call it under the repository's lock, and `refresh` afterwards.
    """
    withdrawals.hold_like(revision, like)
    verdict = in_force(like)
    if verdict is None or verdict.state not in {State.PASSED, State.FAILED} or latest(revision) is not None:
        return None
    result = regressions.without_check(verdict.report).as_result()
    columns = (
        "state",
        "reason",
        "base",
        "format",
        "attempt",
        "queued_at",
        "started_at",
        "finished_at",
        "duration_ms",
        "proven_with",
        "eligibility",
    )
    same = {name: getattr(verdict, name) for name in columns}
    same["request_id"] = traces.current()
    adopted = Verdict.objects.create(revision=revision, number=1, result=result, **same)
    waiting = Comparison.objects.filter(verdict=verdict).values_list("engine", "route")
    Comparison.objects.bulk_create(Comparison(verdict=adopted, engine=engine, route=to) for engine, to in waiting)
    return adopted


def refresh(repository: Repository) -> None:
    """Update the repository's state and `verified` after refs moved; call it under the repository's lock."""
    of_main = Verdict.objects.filter(revision__refs__repository=repository, revision__refs__name=MAIN)
    rows = list(of_main.order_by("number").values_list("state", "finished_at"))
    state = rows[-1][0] if rows else ""
    answers = [state for state, finished_at in rows if finished_at is not None]
    Repository.objects.filter(pk=repository.pk).update(state=state, outcome=answers[-1] if answers else state)
    move_verified(repository.pk)


def again(revision: Revision, by: User | None) -> tuple[Verdict, bool]:
    """Queue one more validation and log the caller; return the pending verdict, and whether it is new.

    `by=None` is the operator at the command line, whose requests count against no owner's limit. For anybody else the
    permission has been checked before. Raises VerdictNotApplicable.
    """
    with transaction.atomic():
        base, newest = current(revision).base, latest(revision)
        verdict = request(revision, base, again=True, cause=Cause.ASKED if by else Cause.RENEWAL)
        is_new = verdict != newest
        if is_new:
            audit.record(
                by,
                "verdict:request",
                f"{revision.repository.full_name}@{revision.oid}",
                about=revision.repository,
                after={"verdict": verdict.pk},
            )
    return verdict, is_new


def current(revision: Revision) -> Verdict:
    """Return the verdict in force of this revision. Raises VerdictNotApplicable if it holds no adapter."""
    verdict = in_force(revision)
    if verdict is None and revision.is_part and not revision.files_missing:
        raise VerdictNotApplicable(
            f"{revision.oid} is an intermediate commit of a push in several commits; only the last one gets a verdict.",
            "Request the verdict of the branch that it was pushed to.",
        )
    if verdict is None:
        raise no_adapter(revision)
    return verdict


def no_adapter(revision: Revision) -> VerdictNotApplicable:
    """Return the refusal of a verdict on a revision without an adapter, which says what its files are instead.

    Reads the beginning of a few files, or their names alone while the store does not answer.
    """
    files = facts.file_openers(pull.entries(revision))
    try:
        sight, fix = told(files)
    except StoreUnavailable:
        sight, fix = sighted(files) or ("", "")
    message = f"Nothing in {revision.repository.full_name} at {revision.oid} is an adapter."
    return VerdictNotApplicable(f"{message} {sight}".rstrip(), fix)


def latest(revision: Revision) -> Verdict | None:
    """Return the newest verdict of this revision, which may be the renewal of the one in force; or None."""
    return newest_of(revision.pk)


def in_force(revision: Revision) -> Verdict | None:
    """Return the verdict that counts: the last decided one, also while it is renewed, and where that errored.

    All that acts on a verdict or shows one reads this one. `latest` is for those who queue and do them.
    """
    return in_force_of(revision.pk)


def renewal_of(verdict: Verdict) -> Verdict | None:
    """Return the newer verdict of the same revision that is queued or running; None if there is none."""
    newer = newer_than(verdict)
    return newer if newer is not None and not newer.is_final else None


def newer_than(verdict: Verdict) -> Verdict | None:
    """Return the newest verdict of the same revision beside the finished one in force; a finished one has errored."""
    newest = newest_of(verdict.revision_id) if verdict.is_final else None
    return newest if newest is not None and newest.pk != verdict.pk else None


def states_in_force(revisions: Iterable[int]) -> dict[int, str]:
    """Return the state of the verdict in force for each of these revisions that has one, by their ids; one query."""
    rows = Verdict.objects.filter(revision__in=list(revisions)).order_by(*pull.LAST_SAID_LAST)
    return dict(rows.values_list("revision_id", "state"))


def notify_workers(verdict: int) -> bool:
    """Notify the workers of a verdict to claim, or only those that can do it, if not all can.

    Returns False when the broker is known to be down. A lost message costs some seconds, until a worker polls.
    """
    notify: Callable[..., bool] = import_string(settings.DOORBELL)
    return notify(verdict, *queue.queues_for(verdict))


def notify_again(verdict: int) -> None:
    """Notify the workers once more, and record when, so that sweeps skip the row for a while."""
    if notify_workers(verdict):
        Verdict.objects.filter(pk=verdict, state=State.QUEUED).update(nudged_at=Now())


def route_to(row: Base | None) -> str:
    """Return the lower-case id of the base that a worker must have; "" if no base is needed."""
    return row.id.lower() if row and row.has_weights else ""


def adapter_named(base: str, revision: Revision) -> Repository | None:
    """Return the adapter of this hub that a revision names in place of a base; None if its readers may not all see it.

    So nobody learns by a verdict that a private adapter exists. Ask it of a name that is no base here.
    """
    named = lookup.named(base, Repository.Type.MODEL).exclude(format="").select_related("namespace__person").first()
    return named if named is not None and policy.may_name(named, revision.repository) else None


def why_wait(base: str, row: Base | None, format_name: str, revision: Revision | None = None) -> str:
    """Return what a verdict waits for besides its turn, or "". Without a base id the static checks alone decide.

    `row` is the base of that name, if it is here. Where the revision names an adapter as its base, nothing is to wait
    for: a check says so.
    """
    if not bases.is_id(base):  # a path on the author's disk, or nothing
        return ""
    if row and not row.has_weights and format_name == LIBRARY:
        return f"Waiting for the weights of {row.id}: adapters of the adapters library need them to be validated."
    if row or format_name in NOT_RUN:
        return ""
    if revision is not None and adapter_named(base, revision):
        return ""
    reason = (
        f"Waiting for the base model {base}, which is not in this hub's base cache. {_meant(base)}"
        f"You can request it at /bases/{base}."
    )
    return reason[:MAX_REASON]


def _meant(base: str) -> str:
    """Return a question that suggests a known base of the same name in another namespace; "" if there is none."""
    name = base.rpartition("/")[2]
    near = Base.objects.filter(Q(id__iendswith=f"/{name}") | Q(id__iexact=name)).order_by("id").first()
    return f"Did the adapter's author mean {near.id}? " if near else ""


def postpone(verdict: Verdict) -> None:
    """Take a new verdict out of the queue until its push has ended; call it in the transaction that queued it."""
    untouched = Verdict.objects.filter(pk=verdict.pk, state=State.QUEUED, attempt=0)
    untouched.update(reason=POSTPONED, not_before=Now() + POSTPONED_MOST, **queue.NOWHERE)


def resume(revision: Revision) -> None:
    """Queue the verdict that was postponed, if there is one: the push has ended with this revision."""
    for verdict in _postponed(revision).select_related("revision__repository", "revision__author"):
        placed = place(revision, verdict.base, verdict.format, verdict.cause)
        if _postponed(revision).filter(pk=verdict.pk).update(**placed):
            transaction.on_commit(lambda pk=verdict.pk: notify_again(pk), robust=True)  # type: ignore[misc]  # a loop variable


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
    return Verdict.objects.filter(revision=revision, state=State.QUEUED, attempt=0, reason=POSTPONED)
