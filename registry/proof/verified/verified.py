"""The ref `verified`: the newest whole revision in the history of main that may have that name, not held or yanked.

The decision about a version is that of registry/repos/eligibility.py and, beside the version before, by regressions.py.
Owners can override that: what scored worse, or adds nothing, becomes `verified` for a reason that all read.
"""

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.db import transaction
from django.db.models import Case, F, Value, When
from django.utils import timezone

from dovetail.adapters.results.report import Report
from registry.kernel import audit, policy
from registry.kernel.errors import StoreUnavailable, ValueInvalid, VersionNotHeld
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import Ref, Regression, Repository, Revision, Verdict
from registry.models.verdicts import MAX_REASON
from registry.proof.reports import NOT_MEASURED, score_of
from registry.proof.verified import aliases, regressions
from registry.repos import eligibility, pull
from registry.repos.contents import stored_facts
from registry.repos.eligibility import read_good_revisions
from registry.repos.lists import listed_facts
from registry.repos.refs import MAIN, VERIFIED, main_is_held

logger = logging.getLogger(__name__)
NOTHING: Mapping[str, object] = MappingProxyType({})
LEAST_REASON = 10  # characters: "ok" tells nobody why


def move_verified(repository: int, judged: int | None = None, also: Mapping[str, object] = NOTHING) -> None:
    """Point `verified` at the newest good revision in the history of main.

    Aliases move too, if their revision was withdrawn or is served again, and the columns that lists show of it are
    written: `also` in the same update if `judged`, a revision, is main. Call it in the transaction
    that changes a verdict, or what is held back or yanked.
    """
    refs = dict(Ref.objects.filter(repository=repository, name__in=[MAIN, VERIFIED]).values_list("name", "revision"))
    main, verified = refs.get(MAIN), refs.get(VERIFIED)
    good = read_good_revisions(repository)
    good = regressions.judge(repository, good, main)
    at = good.newest(main)
    if at is not None and verified is not None:
        moved = Ref.objects.filter(repository=repository, name=VERIFIED)
        moved.update(revision=at, updated_at=timezone.now())
    elif at is not None:
        Ref.objects.create(repository_id=repository, name=VERIFIED, revision_id=at)
    elif verified is not None:
        Ref.objects.filter(repository=repository, name=VERIFIED).delete()
    aliases.move_aliases(repository, good)
    shown = main if at is None else at
    last = None
    if shown is not None:
        finished = Verdict.objects.filter(revision=shown, finished_at__isnull=False)
        last = finished.order_by(*pull.LAST_SAID).first()
    serves = served_by(last.report) if last else ""
    score = score_of(last.report) if last and at is not None else NOT_MEASURED
    columns = dict(also) if judged is not None and judged == main else {}
    columns |= {"is_verified": at is not None, "serves": serves, "score": score}
    if at is not None:
        columns["outcome"] = Verdict.State.PASSED.value
    elif last is not None:
        columns["outcome"] = last.state
    elif verified is not None:
        columns["outcome"] = columns.get("state", F("state"))
    Repository.with_binned.filter(pk=repository).update(is_main_held=main_is_held(), **columns)
    if shown is not None and shown != (main if verified is None else verified):
        list_facts(repository, shown)


def list_facts(repository: int, revision: int) -> None:
    """Show the facts of another revision in lists, from its files.

    While the store does not answer, lists keep the facts of the revision before.
    """
    row = Revision.objects.select_related("repository__namespace").get(pk=revision)
    entries = pull.entries(row)
    try:
        known = stored_facts.available_facts({row: entries})[row]
    except StoreUnavailable:
        logger.warning("Lists keep the facts of the version before %s: the store does not answer.", row.oid)
        return
    columns = listed_facts.columns(entries, known)
    words = listed_facts.with_words(row.repository.full_name, known, columns)
    Repository.with_binned.filter(pk=repository).update(**listed_facts.searched(**words))


def served_by(report: Report) -> str:
    """Return the engines that serve an adapter, as the column `serves` holds them."""
    engines = [answer.engine for answer in report.serving if answer.outcome == "serves"]
    return "\n" + "".join(f"{name}\n" for name in engines) if engines else ""


def unless_verified(column: str, value: Any) -> Case:
    """Return the new value of a column of lists: a repository with `verified` keeps what is known of that."""
    return Case(When(is_verified=True, then=column), default=Value(value))


def override(revision: Revision, by: Caller, reason: str) -> bool:
    """Let `verified` move to a version that is held back; return False, with the first reason kept, if it may already.

    Raises VersionNotHeld for a version that neither scored worse nor adds nothing, ValueInvalid for a short reason,
    and what policy.require raises for CONFIGURE: who owns the adapter answers for what people get, not everybody who
    pushes.
    """
    with transaction.atomic():
        revision.repository = policy.require_now(by, Permission.CONFIGURE, revision.repository)
        reason = _checked(reason)
        row, because = _held(revision)
        if row.is_overridden:
            return False
        row.override_by, row.override_reason, row.override_at = by.user, reason, timezone.now()
        _change(row, revision, by, "override", because, reason)
    return True


def withdraw(revision: Revision, by: Caller, reason: str = "") -> bool:
    """Take an override back, so that `verified` passes the version by again; return False if there is none.

    Raises VersionNotHeld, ValueInvalid, and what policy.require raises for CONFIGURE.
    """
    reason = names.check_text(reason, "reason", MAX_REASON)
    with transaction.atomic():
        revision.repository = policy.require_now(by, Permission.CONFIGURE, revision.repository)
        row, because = _held(revision)
        if not row.is_overridden:
            return False
        row.override_by, row.override_reason, row.override_at = None, "", None
        _change(row, revision, by, "withdraw", because, reason)
    return True


def _checked(reason: str) -> str:
    reason = names.check_text(reason, "reason", MAX_REASON)
    if len(reason) < LEAST_REASON:
        raise ValueInvalid(
            f"An override requires a reason of at least {LEAST_REASON} characters.",
            fix="Explain in one sentence why the lower score is acceptable: `The new rows of label 3 are harder`.",
            field="reason",
        )
    return reason


def _held(revision: Revision) -> tuple[Regression, str]:
    """Return the row that holds the override, new where there is nothing to compare with, and what it overrides."""
    row = Regression.objects.filter(revision=revision).first()
    verdict = eligibility.last_decided(revision)
    because = eligibility.because_without_override(verdict, row) if verdict else None
    is_overridden = row is not None and row.is_overridden  # also where nothing holds it any more
    if verdict is None or not (is_overridden or because in eligibility.OVERRIDABLE):
        raise VersionNotHeld(
            f"Revision {revision.oid} of {revision.repository.full_name} is not held back by a regression, "
            "the only reason that can be overridden.",
            fix="See `verified` in its verdict for the actual reason.",
        )
    first = regressions.FIRST
    new = Regression(revision=revision, verdict=verdict, outcome=first.outcome, result=first.as_json())
    return row or new, because or eligibility.REGRESSION


def _change(row: Regression, revision: Revision, by: Caller, action: str, because: str, reason: str) -> None:
    """Save a changed override, move `verified`, and record both."""
    row.save()
    repository = revision.repository
    move_verified(repository.pk)
    row.refresh_from_db()
    held, stated = not row.is_overridden, row.override_reason or row.result["reason"]
    if because != eligibility.REGRESSION and held:
        stated, _ = eligibility.REASONS[because]
    regressions.record(revision, stated, because, held=held, against=row.against_id, by=by.user)
    audit.record(
        by.user,
        f"regression:{action}",
        f"{repository.full_name}@{revision.oid}",
        about=repository,
        reason=reason,
        before={"held": not held},
        after={"held": held},
    )
