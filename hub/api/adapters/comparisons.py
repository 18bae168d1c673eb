"""Differences of two revisions of an adapter: files, config, weights and measurements."""

from collections.abc import Iterator

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.adapters.shapes.weight_changes import Names
from dovetail.answers import adapters as answers
from hub.api import pages
from hub.api.records import of_row, operation
from hub.api.versions.revisions import resolved
from hub.api.views import View
from registry.kernel.policy import Permission
from registry.models import Revision, Verdict
from registry.proof import comparisons, verdicts
from registry.proof.comparisons import WeightsChange
from registry.repos import pull
from registry.repos.manifest import Entry

MAX_FILES, MAX_NAMES, MAX_MODULES = 1000, 1000, 2000
RETRY_SECONDS = 5
Entries = dict[str, Entry]


class Compare(View):
    @operation("compare", answers={200: answers.Comparison, 202: answers.Comparison})
    def get(self, request: Request, ns: str, name: str, a: str, b: str) -> Response:
        """How two revisions differ.

        202 with Retry-After while a worker compares large weights; what is known by then is there.
        """
        pages.parameters(request, pages.Nothing)
        before, after = (resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD) for rev in (a, b))
        for revision in (before, after):
            pull.require_served(revision, self.caller)
        old, new = pull.served_entries(before), pull.served_entries(after)
        weights = tuple(map(_weights, comparisons.weights_changes(old, new)))
        verdict_before, verdict_after = verdicts.in_force(before), verdicts.in_force(after)
        keys = (of_row(answers.KeyChange, one) for one in comparisons.config_changes(old, new))
        answer = answers.Comparison(
            adapter=before.repository.full_name,
            before=_side(before, verdict_before, old),
            after=_side(after, verdict_after, new),
            files=tuple(_files(old, new))[:MAX_FILES],
            config=tuple(keys)[:MAX_NAMES],
            weights=weights,
            evals=tuple(_evals(verdict_before, verdict_after)),
        )
        if any(item.state == "waiting" for item in weights):
            headers = {"Retry-After": str(RETRY_SECONDS), "Cache-Control": "no-store"}
            return Response(answer, status.HTTP_202_ACCEPTED, headers=headers)
        return Response(answer)


def _side(revision: Revision, verdict: Verdict | None, entries: Entries) -> answers.ComparedSide:
    size = sum(entry.size for entry in entries.values())
    return answers.ComparedSide(revision=revision.oid, state=verdict.state if verdict else None, size=size)


def _files(old: Entries, new: Entries) -> Iterator[answers.FileChange]:
    for path in sorted(old.keys() | new.keys()):
        before, after = old.get(path), new.get(path)
        if before and after and before.sha256 == after.sha256:
            continue
        yield answers.FileChange(
            path=path,
            change="changed" if before and after else "removed" if before else "added",
            size_before=before.size if before else None,
            size_after=after.size if after else None,
        )


def _weights(change: WeightsChange) -> answers.WeightsChange:
    names, changes = change.compared.names or Names((), (), (), ()), change.changes
    return answers.WeightsChange(
        path=change.path,
        state=change.state,
        reason=change.compared.problem or None,
        added=names.added[:MAX_NAMES],
        removed=names.removed[:MAX_NAMES],
        reshaped=tuple(answers.Reshaped(tensor=name, before=a, after=b) for name, a, b in names.reshaped[:MAX_NAMES]),
        retyped=tuple(answers.Retyped(tensor=name, before=a, after=b) for name, a, b in names.retyped[:MAX_NAMES]),
        modules=tuple(of_row(answers.ModuleChange, one, relative_change=one.relative) for one in changes[:MAX_MODULES]),
        modules_left_out=max(0, len(changes) - MAX_MODULES),
    )


def _evals(before: Verdict | None, after: Verdict | None) -> Iterator[answers.EvaluationChange]:
    """Yield each metric of either verdict, with its values on both sides."""
    reports = [verdict.report if verdict else None for verdict in (before, after)]
    for one in comparisons.evaluation_changes(*reports):
        yield answers.EvaluationChange(
            name=one.row.name,
            metric=one.row.metric,
            better=one.row.better,
            before=one.before.evaluation.adapter if one.before else None,
            after=one.after.evaluation.adapter if one.after else None,
            change=one.change,
            outcome=one.outcome or None,
            p=one.p,
        )
