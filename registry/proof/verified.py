"""The ref `verified`: the newest whole revision in the history of main that passed, neither held back nor yanked.

A version that measured worse than the one before it does not become it by itself (regressions.py).
"""

from typing import Any

from django.db.models import Case, When

from dovetail.adapters.report import Report
from registry.kernel.prepared_writes import as_value
from registry.models import Ref, Repository, Verdict
from registry.proof import alias_refs, regressions
from registry.proof.good_revisions import read_good_revisions
from registry.proof.scores import NOT_MEASURED, score_of
from registry.repos.refs import MAIN, VERIFIED


def move_verified(repository: int) -> None:
    """Point `verified` at the newest good revision in the history of main.

    Aliases move too, if their revision was withdrawn or is served again, and the columns that lists show of it are
    written. Call it in the transaction that changes a verdict, or what is held back or yanked.
    """
    main = Ref.objects.filter(repository=repository, name=MAIN).values_list("revision", flat=True).first()
    good = regressions.judge(repository, read_good_revisions(repository), main)
    at = good.newest(main)
    if at is None:
        Ref.objects.filter(repository=repository, name=VERIFIED).delete()
    else:
        Ref.objects.update_or_create(repository_id=repository, name=VERIFIED, defaults={"revision_id": at})
    alias_refs.move_aliases(repository, good)
    shown = main if at is None else at
    last = Verdict.objects.filter(revision=shown, finished_at__isnull=False).order_by("number").last()
    serves = served_by(last.report) if last else ""
    score = score_of(last.report) if last and at is not None else NOT_MEASURED
    Repository.with_binned.filter(pk=repository).update(is_verified=at is not None, serves=serves, score=score)


def served_by(report: Report) -> str:
    """Return the engines that serve an adapter, as the column `serves` holds them."""
    engines = [answer.engine for answer in report.serving if answer.outcome == "serves"]
    return "\n" + "".join(f"{name}\n" for name in engines) if engines else ""


def unless_verified(serves: Any) -> Case:
    """Return the new value of the column `serves`: a repository with `verified` keeps that of what is served there."""
    return Case(When(is_verified=True, then="serves"), default=as_value(serves))
