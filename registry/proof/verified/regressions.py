"""Decides which versions `verified` passes by: those that measured worse than the one before, or are ineligible alone.

The history of main is walked from its oldest good revision: each next one is compared with the newest that was not
passed by. So the order in which verdicts arrive decides nothing, and a comparison with a version that was yanked, held
back or proven again is computed again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from django.utils import timezone

from dovetail.adapters.results.report import Report
from registry.kernel import outbox
from registry.kernel.outbox import Kind as Happened
from registry.models import Regression, Revision, User, Verdict
from registry.proof.verified.good_revisions import GoodRevisions
from registry.proof.verified.regression_rule import CHECK, Outcome, Result, check_of, compare
from registry.repos.eligibility import OVERRIDABLE, REGRESSION
from registry.sql.prepared import Prepared

Kind = Verdict.Eligibility
FIRST = Result(Outcome.INCOMPARABLE, "Not comparable: no verified version comes before it.")


def judge(repository: int, good: GoodRevisions, main: int | None) -> GoodRevisions:
    """Compare what is new in the history of main, and return the good revisions with those that are passed by.

    Call it under the repository's lock. Only pairs of verdicts that were not compared before cost anything.
    """
    rows = comparisons_of(repository)
    history = _History(good, rows)
    current: int | None = None
    for revision in good.history(main):
        if good.ineligible.get(revision) != Kind.NOT_RUN:  # nothing was measured that compares
            history.row_of(revision, current)
        if not is_passed_by(revision, good, rows):
            current = revision
    return with_passed_by(good, rows)


def with_passed_by(good: GoodRevisions, rows: Mapping[int, Regression]) -> GoodRevisions:
    """Return good revisions with those that `verified` passes by, as their comparisons are."""
    return replace(good, passed_by=frozenset(pk for pk in good.proven if is_passed_by(pk, good, rows)))


def is_passed_by(revision: int, good: GoodRevisions, rows: Mapping[int, Regression]) -> bool:
    """Return whether `verified` passes a good revision by, given the comparisons of its repository."""
    row = rows.get(revision)
    is_ineligible = revision in good.ineligible and not (
        row is not None and row.is_overridden and good.ineligible[revision] in OVERRIDABLE
    )
    return is_ineligible or (row is not None and row.is_held)


def comparisons_of(repository: int) -> dict[int, Regression]:
    """Return the comparisons of a repository by the row ids of their revisions; one query."""
    return {row.revision_id: row for row in Regression.objects.filter(revision__repository=repository)}


@dataclass
class _History:
    """The comparisons of one repository, read and written as they are needed."""

    good: GoodRevisions
    rows: dict[int, Regression]

    def row_of(self, revision: int, against: int | None) -> Regression | None:
        """Return the comparison of a revision with `against`, recomputed if a verdict or `against` is another one."""
        row, proven = self.rows.get(revision), self.good.proven
        pair = proven[revision], proven[against] if against else None
        if row is None and against is None:
            return None  # as nearly always: the first version of a repository
        is_whole = against is not None or (row is not None and row.outcome == Outcome.INCOMPARABLE)
        if row is not None and is_whole and (row.verdict_id, row.against_verdict_id) == pair:
            return row
        result = compare(_report(pair[0]), _report(pair[1])) if pair[1] else FIRST
        was_held = row is not None and row.is_held
        row = row or Regression(revision_id=revision)
        row.verdict_id, row.against_id, row.against_verdict_id = pair[0], against, pair[1]
        row.outcome, row.result, row.compared_at = result.outcome, result.as_json(), timezone.now()
        row.save()
        self.rows[revision] = row
        _write_check(row, result)
        if row.is_held != was_held:
            newer = Revision.objects.select_related("repository__namespace").get(pk=revision)
            reason = row.override_reason if row.is_overridden else result.reason
            record(newer, reason, held=row.is_held, against=against)
        return row


def _report(verdict: int) -> Report:
    """Return the report of a verdict that passed.

    It is read whole: SQLite gives a text out of a document as it is, and a folder may be called 2024 or null.
    """
    return Verdict.objects.get(pk=verdict).report


def _write_check(row: Regression, result: Result) -> None:
    """Write the check into the newer version's report; comparisons of engines write there too, so it is locked."""
    verdict = Verdict.objects.select_for_update(no_key=True).get(pk=row.verdict_id)
    report = without_check(verdict.report)
    verdict.result = replace(report, checks=(*report.checks, check_of(result))).as_result()
    verdict.save(update_fields=["result"])


def without_check(report: Report) -> Report:
    """Return a report without the comparison, which belongs to one place in one history."""
    return replace(report, checks=tuple(check for check in report.checks if check.id != CHECK))


def record(
    revision: Revision,
    reason: str,
    because: str = REGRESSION,
    *,
    held: bool,
    against: int | None = None,
    by: User | None = None,
) -> None:
    """Record that a revision is held back from `verified`, or no longer; call it in that transaction."""
    before = Revision.objects.get(pk=against).oid if against else None
    data = {"held": held, "because": because, "against": before, "reason": reason}
    outbox.record(Happened.REGRESSION, revision.repository, by, revision=revision.oid, **data)


def regression_of(revision: Revision) -> Regression | None:
    """Return the comparison of a revision with the verified one before it; None for the first, and beside main."""
    return _OF.first(revision.pk)


_OF = Prepared(
    lambda revision: Regression.objects.select_related("against", "override_by").filter(revision=revision), int
)


def carry(old: Revision, new: Revision) -> None:
    """Keep the comparison and its override for a commit that replaces another one, whose verdict it has adopted."""
    row, verdict = Regression.objects.filter(revision=old).first(), new.verdicts.order_by("-number").first()
    if row is not None and verdict is not None and old.repository_id == new.repository_id:
        row.pk, row._state.adding = None, True
        row.revision, row.verdict, row.against, row.against_verdict = new, verdict, None, None
        row.save()
