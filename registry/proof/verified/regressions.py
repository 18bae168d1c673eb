"""Regressions: the versions that `verified` passes by, since they scored worse than the one before, or are ineligible
alone; and the rows of earlier versions on which a version is measured too.

The history of main is walked from its oldest good revision: each next one is compared with the newest that was not
passed by. So the order in which verdicts arrive decides nothing, and a comparison with a version that was yanked, held
back or proven again is computed again.

A pusher chooses the rows of a version, and would choose what it is compared on. The rows of the version that it is
compared with are beyond them, and so are the oldest ones that all versions since were compared on: otherwise lax rows
would come in with one push, and a worse version with the next.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Q
from django.utils import timezone

from dovetail.adapters.results.report import Report
from registry.kernel import outbox, policy
from registry.kernel.errors import RegistryError
from registry.kernel.outbox import Kind as Happened
from registry.models import Regression, Repository, Revision, RevisionFile, User, Verdict
from registry.proof.verified.regression_rule import CHECK, Outcome, Result, check_of, compare
from registry.repos import eligibility, pull
from registry.repos.contents import stored_facts
from registry.repos.contents.card import Card
from registry.repos.eligibility import OVERRIDABLE, REGRESSION, GoodRevisions, read_good_revisions
from registry.repos.manifest import Entry

NAME = "smoke.jsonl"
MAX_BYTES = 256 << 10
MOST_SETS = 8
MAX_NAME = 100  # of a set in a verdict


@dataclass(frozen=True)
class EvalRows:
    """The rows of a set at one commit: `name` is namespace/name@commit, as the verdict shows it."""

    name: str
    entry: Entry


def find_eval_rows(repository: Repository, card: Card) -> EvalRows | None:
    """Return the rows of the first set that the card names (`smoke`, then `datasets`) and that the verdict may show.

    A verdict shows rows, so a set that is not public serves only private adapters of its own namespace.
    """
    return next(filter(None, (_rows_in(name, "main", repository) for name in _named(card))), None)


def find_named(name: str, repository: Repository) -> EvalRows | None:
    """Return the rows that a verdict of this repository names (namespace/name@commit), if it may still show them."""
    dataset, _, commit = name.partition("@")
    return _rows_in(dataset, commit, repository) if commit and dataset.count("/") == 1 else None


def _rows_in(name: str, rev: str, repository: Repository) -> EvalRows | None:
    namespace, _, rest = name.partition("/")
    sets = Repository.objects.filter(type=Repository.Type.DATASET, namespace__name__iexact=namespace, name__iexact=rest)
    dataset = sets.select_related("namespace__person").first()
    if dataset is None or not policy.may_quote(dataset, repository):
        return None
    try:
        revision = pull.resolve(dataset, rev)
        entry = pull.find_file(revision, NAME)
    except RegistryError:
        return None
    if entry.size > MAX_BYTES or revision.is_quarantined:
        return None
    return EvalRows(f"{dataset.full_name}@{revision.oid[:8]}"[-MAX_NAME:], entry)


def _named(card: Card) -> Iterator[str]:
    smoke = card.data.get("smoke")
    names = [smoke, *card.datasets] if isinstance(smoke, str) else card.datasets
    yield from dict.fromkeys(name for name in names[:MOST_SETS] if name.count("/") == 1)


Kind = Verdict.Eligibility
MAX_SETS = 2
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
    return Regression.objects.select_related("against", "override_by").filter(revision=revision).first()


def carry(old: Revision, new: Revision) -> None:
    """Keep the comparison and its override for a commit that replaces another one, whose verdict it has adopted."""
    row, verdict = Regression.objects.filter(revision=old).first(), new.verdicts.order_by("-number").first()
    if row is not None and verdict is not None and old.repository_id == new.repository_id:
        row.pk, row._state.adding = None, True
        row.revision, row.verdict, row.against, row.against_verdict = new, verdict, None, None
        row.save()


State = Verdict.State


@dataclass(frozen=True, slots=True)
class EarlierRows:
    """The rows of an earlier version: its commit, the blob of its smoke.jsonl, and the label names of its card."""

    revision: str
    sha256: str
    label_names: Any


def find_earlier_rows(revision: Revision, place: str, base: str) -> list[EarlierRows]:
    """Return the sets of rows that an adapter shall be run on beside its own, at most MAX_SETS.

    `place` is the adapter's folder, `base` the sha256 of the base that it is run on: rows of versions on other bases
    lead to no comparison.
    """
    files: dict[int, RevisionFile] = {}
    rows_somewhere: set[int] = set()  # versions with rows, in the folder of an adapter that may have moved since
    is_rows = Q(path=NAME) | Q(path__endswith=f"/{NAME}")
    for file in RevisionFile.objects.filter(is_rows, revision__repository=revision.repository_id):
        rows_somewhere.add(file.revision_id)
        if file.path == path_of(place):
            files[file.revision_id] = file
    known = {files[revision.pk].sha256} if revision.pk in files else set()
    sets: list[EarlierRows] = []
    for versions in _versions(revision, rows_somewhere):
        rows = next(filter(None, (_rows_of(version, files, place, base) for version in versions)), None)
        if rows and rows.sha256 not in known:
            known.add(rows.sha256)
            sets.append(rows)
        if len(sets) == MAX_SETS:
            break
    return sets


def _versions(revision: Revision, rows_somewhere: set[int]) -> Iterator[Iterable[int]]:
    """Yield groups of versions, the most important group first; of each group, the first version with rows counts.

    These are the version to compare with, and the oldest with rows since the last one that could not be compared; then
    those before it whose verdicts wait, since each may be the one to compare with by the time that this one has ended.
    """
    repository = revision.repository_id
    good = read_good_revisions(repository)
    rows = {row.revision_id: row for row in Regression.objects.filter(revision__repository=repository).defer("result")}
    unfinished = Verdict.objects.filter(revision__repository=repository, state__in=[State.QUEUED, State.RUNNING])
    waiting = set(unfinished.values_list("revision", flat=True))
    compared, pending = _line(revision.pk, good, rows, waiting)
    yield compared[:1]
    yield [version for version in reversed(compared) if version in rows_somewhere]
    yield from ([version] for version in pending if version in rows_somewhere)


def _line(
    revision: int, good: GoodRevisions, rows: dict[int, Regression], waiting: set[int]
) -> tuple[list[int], list[int]]:
    """Return the versions that `verified` named one after the other, and those that wait; the newest first.

    Expired ones are left out.
    """
    compared: list[int] = []
    pending: list[int] = []
    at = good.parents.get(revision)
    while at is not None:
        row = rows.get(at)
        if at in waiting:
            pending.append(at)
        if good.is_good(at) and not is_passed_by(at, good, rows):
            if good.is_served(at):  # of an expired one the rows are gone
                compared.append(at)
            if row and row.outcome == Regression.Outcome.INCOMPARABLE:
                break
        at = good.parents[at]
    return compared, pending


def _rows_of(version: int, files: dict[int, RevisionFile], place: str, base: str) -> EarlierRows | None:
    """Return the rows of one version: its own file, or those of the data set that its report names."""
    revision = Revision.objects.select_related("repository__namespace").get(pk=version)
    verdict = eligibility.last_decided(revision)
    report = verdict.report if verdict else None
    if report and report.is_passed and (report.base is None or report.base.sha256 != base):
        return None
    entries = pull.entries(revision)
    names = stored_facts.revision_facts(revision, entries).card.data.get("label_names")
    file = files.get(version) or (entries.get(path_of(report.path)) if report else None)
    if file is not None and file.size <= MAX_BYTES:
        return EarlierRows(revision.oid, file.sha256, names)
    lent = find_named(_name_of(report, place), revision.repository) if report else None
    return EarlierRows(revision.oid, lent.entry.sha256, names) if lent else None


def _name_of(report: Report, place: str) -> str:
    """Return the name of the rows that one adapter was measured on."""
    names = [evaluation.name for evaluation in report.evals]
    own = [name.removeprefix(f"{place}/") for name in names if name.startswith(f"{place}/")] if place else []
    return next(iter(own or names), "")


def path_of(place: str) -> str:
    """Return the path of the rows of the adapter in a folder."""
    return f"{place}/{NAME}" if place else NAME
