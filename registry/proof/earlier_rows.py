"""Finds the rows of earlier versions, on which a version is measured beside its own.

A pusher chooses the rows of a version, and would choose what it is compared on. The rows of the version that it is
compared with are beyond them, and so are the oldest ones that all versions since were compared on: otherwise lax rows
would come in with one push, and a worse version with the next.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from dovetail.adapters.results.report import Report
from registry.models import Regression, Revision, RevisionFile, Verdict
from registry.proof.verified import regressions
from registry.proof.verified.good_revisions import GoodRevisions, read_good_revisions
from registry.repos import eligibility, pull
from registry.repos.contents import eval_rows, facts

MAX_SETS = 2
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
    is_rows = Q(path=eval_rows.NAME) | Q(path__endswith=f"/{eval_rows.NAME}")
    for file in RevisionFile.objects.filter(is_rows, revision__repository=revision.repository_id):
        rows_somewhere.add(file.revision_id)
        if file.path == _path(place):
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
        if good.is_good(at) and not regressions.is_passed_by(at, good, rows):
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
    names = facts.read_facts(entries, revision.repository.type).card.data.get("label_names")
    file = files.get(version) or (entries.get(_path(report.path)) if report else None)
    if file is not None and file.size <= eval_rows.MAX_BYTES:
        return EarlierRows(revision.oid, file.sha256, names)
    lent = eval_rows.find_named(_name_of(report, place), revision.repository) if report else None
    return EarlierRows(revision.oid, lent.entry.sha256, names) if lent else None


def _name_of(report: Report, place: str) -> str:
    """Return the name of the rows that one adapter was measured on."""
    names = [evaluation.name for evaluation in report.evals]
    own = [name.removeprefix(f"{place}/") for name in names if name.startswith(f"{place}/")] if place else []
    return next(iter(own or names), "")


def _path(place: str) -> str:
    return f"{place}/{eval_rows.NAME}" if place else eval_rows.NAME
