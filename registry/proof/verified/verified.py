"""The ref `verified`: the newest whole revision in the history of main that may have that name, not held or yanked.

What may is decided by registry/repos/eligibility.py and, beside the version before, by regressions.py.
"""

import logging
from typing import Any

from django.db.models import Case, F, When
from django.utils import timezone

from dovetail.adapters.results.report import Report
from registry.kernel.errors import StoreUnavailable
from registry.models import Ref, Repository, Revision, Verdict
from registry.proof.scores import NOT_MEASURED, score_of
from registry.proof.verified import alias_refs, regressions
from registry.proof.verified.good_revisions import read_good_revisions
from registry.repos import pull
from registry.repos.contents import facts
from registry.repos.lists import listed_facts
from registry.repos.refs import MAIN, VERIFIED, main_is_held
from registry.sql.prepared_writes import as_value

logger = logging.getLogger(__name__)


def move_verified(repository: int) -> None:
    """Point `verified` at the newest good revision in the history of main.

    Aliases move too, if their revision was withdrawn or is served again, and the columns that lists show of it are
    written. Call it in the transaction that changes a verdict, or what is held back or yanked.
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
    alias_refs.move_aliases(repository, good)
    shown = main if at is None else at
    last = None
    if shown is not None:
        finished = Verdict.objects.filter(revision=shown, finished_at__isnull=False)
        last = finished.order_by(*pull.LAST_SAID).first()
    serves = served_by(last.report) if last else ""
    score = score_of(last.report) if last and at is not None else NOT_MEASURED
    columns: dict[str, Any] = {"is_verified": at is not None, "serves": serves, "score": score}
    if at is not None:
        columns["outcome"] = Verdict.State.PASSED.value
    elif last is not None:
        columns["outcome"] = last.state
    elif verified is not None:
        Repository.with_binned.filter(pk=repository).update(outcome=F("state"))
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
        known = facts.read_available_facts(entries, row.repository.type)
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
    return Case(When(is_verified=True, then=column), default=as_value(value))
