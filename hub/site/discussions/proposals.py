"""A pull request as its pages show it: its changes, whether it can be merged, its verdict and what that changes."""

from collections.abc import Iterator
from dataclasses import dataclass

from dovetail.adapters.results.report import Report
from hub.site.proof.proof import NEUTRAL, document
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.versions import diff_view
from hub.site.versions.comparison_words import colour_of, word_of
from registry.kernel.errors import RevisionNotFound
from registry.models import Discussion, Revision
from registry.proof import comparisons, verdicts
from registry.publish import merges
from registry.repos import pull

OPEN = (Discussion.Status.OPEN, Discussion.Status.DRAFT)


@dataclass(frozen=True, slots=True)
class MetricChange:
    """A metric of the branch and of what is proposed; `change` is None unless both were measured on the same rows."""

    metric: str
    before: float | None
    after: float | None
    change: float | None
    colour: str  # passed for a better number, failed for a worse one, "" within chance
    word: str  # why it has no colour


def proposal_context(header: RepositoryHeader, discussion: Discussion) -> dict[str, object]:
    """Return a pull request's changes, whether it can be merged, its verdict, and the difference from its branch's."""
    try:
        before, after = merges.changes(discussion)
        conflicts = merges.plan(discussion).conflicts if discussion.status in OPEN else []
        tip = pull.resolve(header.repository, discussion.ref)
        for revision in filter(None, (tip, discussion.merge_base)):  # what is taken away is named too
            pull.require_shown(revision, header.by)
    except RevisionNotFound:  # its branch was deleted, or its files are held back; the talk about it is still there
        return {"changes": [], "conflicts": [], "tip": None}
    verdict = verdicts.in_force(tip) if tip != discussion.merge_base else None
    shown: dict[str, object] = {
        "changes": diff_view.changes(before, after),
        "conflicts": conflicts,
        "tip": tip,
        "verdict": document(verdict) if verdict else None,
        "may_merge": header.may_write,
    }
    if verdict and discussion.status in OPEN and (target := _target(header, discussion)):
        beside = verdicts.in_force(target)
        shown |= {"target": target, "target_verdict": document(beside) if beside else None}
        shown["metric_changes"] = list(_metric_changes(beside.report if beside else None, verdict.report))
    return shown


def _target(header: RepositoryHeader, discussion: Discussion) -> Revision | None:
    """Return the newest revision of the branch that it is for; None where the visitor may not see that, or none is."""
    try:
        revision = pull.resolve(header.repository, discussion.base)
        pull.require_shown(revision, header.by)
    except RevisionNotFound:
        return None
    return revision


def _metric_changes(before: Report | None, after: Report) -> Iterator[MetricChange]:
    for one in comparisons.evaluation_changes(before, after):
        if one.row.name == NEUTRAL:
            continue
        old, new = (side.evaluation.adapter if side else None for side in (one.before, one.after))
        yield MetricChange(one.row.metric, old, new, one.change, colour_of(one), word_of(one))
