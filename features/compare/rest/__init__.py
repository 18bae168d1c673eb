"""Differences of two revisions (files, config, weights, measurements), and previews of merges; their routes."""

from collections.abc import Iterator
from typing import Annotated

from django.urls import path
from rest_framework import serializers as s
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.adapters.shapes.merge_preview import Merge, ModulePair, Overlap
from dovetail.adapters.shapes.weight_changes import Names
from dovetail.answers import adapters as answers
from dovetail.answers.record import Answer
from features.compare import comparisons, merge_previews
from features.compare.rest.leaderboards import Leaderboard, Leaderboards, OneLeaderboard
from hub.api import pages
from hub.api.records import of_row, operation
from hub.api.views import View, resolved
from registry.kernel.policy import Permission
from registry.models import Revision, Verdict
from registry.proof.verdicts import requests
from registry.repos import pull
from registry.repos.manifest import Entry

MAX_FILES, MAX_NAMES, MAX_MODULES = 1000, 1000, 2000
RETRY_SECONDS = 5
Entries = dict[str, Entry]


class Compare(View):
    @operation("compare", callers="anyone", answers={200: answers.Comparison, 202: answers.Comparison})
    def get(self, request: Request, ns: str, name: str, a: str, b: str) -> Response:
        """Compare two revisions.

        202 with Retry-After while a worker compares large weights; what is known by then is there.
        """
        pages.parameters(request, pages.Nothing)
        before, after = (resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD) for rev in (a, b))
        for revision in (before, after):
            pull.require_served(revision, self.caller)
        old, new = pull.served_entries(before), pull.served_entries(after)
        weights = tuple(map(_weights, comparisons.weights_changes(old, new)))
        verdict_before, verdict_after = requests.in_force(before), requests.in_force(after)
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
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before and after and before.sha256 == after.sha256:
            continue
        yield answers.FileChange(
            path=name,
            change="changed" if before and after else "removed" if before else "added",
            size_before=before.size if before else None,
            size_after=after.size if after else None,
        )


def _weights(change: comparisons.WeightsChange) -> answers.WeightsChange:
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


class MergeOther(s.Serializer[pages.Data]):
    other = s.CharField(max_length=400, help_text="the other adapter: NS/NAME or NS/NAME@REV")


class MergeSide(Answer):
    adapter: str
    revision: str
    path: Annotated[str | None, "the file whose weights were compared"]


Norms = Annotated[tuple[float, ...], "of both, Frobenius"]
Merged = Annotated[float, "norm of the sum"]
Growth = Annotated[float, "merged by the norm that a sum of orthogonal changes has: below 1 they cancel"]
Changed = Annotated[
    tuple[float, ...], "interference: what the other adds on the inputs that this one reads, by its own norm; both ways"
]


class MergeSum(Answer):
    """The sum of both changes, with the scales of their configs."""

    norms: Norms
    merged: Merged
    cosine: float
    growth: Growth
    changed: Changed


class SubspaceOverlap(Answer):
    """Two subspaces, by principal angles; the overlap is that of section 7.2 of the paper on LoRA, 0 to 1."""

    overlap: float
    by_chance: Annotated[float, "the mean of two random subspaces of these dimensions"]
    distance: Annotated[float, "projection metric: the norm of the sines of the angles"]
    dimensions: tuple[int, ...]
    angles: Annotated[tuple[float, ...], "principal angles in degrees, the smallest first; at most 64"]


class MergeOfModule(Answer):
    module: str
    norms: Norms
    merged: Merged
    cosine: float
    growth: Growth
    changed: Changed
    columns: Annotated[SubspaceOverlap, "the spaces in which both write"]
    rows: Annotated[SubspaceOverlap, "the spaces that both read"]
    sign_conflict: Annotated[
        float | None, "share of opposite signs among the values in the largest fifth of both (TIES)"
    ]
    kept_by_both: Annotated[float, "the share of all values that these are; of a sample of rows"]


class MergePreview(MergeSide):
    """The modules of both adapters that have the same name and shape."""

    other: MergeSide
    reason: Annotated[str | None, "why nothing was compared"]
    shared: Annotated[int, "modules of the same name and shape"]
    compared: Annotated[int, "of these, spread evenly; at most 64"]
    alone: Annotated[tuple[int, ...], "modules that one of them alone has"]
    total: Annotated[MergeSum | None, "all compared modules together"]
    column_overlap: Annotated[float | None, "mean over the modules, as the rest"]
    column_overlap_by_chance: float | None
    row_overlap: float | None
    row_overlap_by_chance: float | None
    sign_conflict: float | None
    modules: tuple[MergeOfModule, ...]


class OneMergePreview(View):
    @operation("merge_preview", query=MergeOther, callers="anyone")
    def get(self, request: Request, ns: str, name: str, rev: str) -> MergePreview:
        """Preview a merge with another adapter.

        Up to 64 modules that both change, spread over all of them, within about a second.
        """
        one = resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD)
        other, _, other_rev = pages.parameters(request, MergeOther)["other"].partition("@")
        two = resolved(other, other_rev or "main", self.viewer, Permission.DOWNLOAD)
        for revision in (one, two):
            pull.require_served(revision, self.caller)
        preview = merge_previews.preview(one, two)
        return _answer(preview, _merge_side(one, preview.paths[0]), _merge_side(two, preview.paths[1]))


def _merge_side(revision: Revision, path: str) -> MergeSide:
    return MergeSide(adapter=revision.repository.full_name, revision=revision.oid, path=path or None)


def _answer(preview: merge_previews.Preview, side: MergeSide, other: MergeSide) -> MergePreview:
    pairs, total = preview.pairs, preview.total
    columns, rows = preview.mean("columns"), preview.mean("rows")
    return of_row(
        MergePreview,
        side,
        other=other,
        reason=preview.problem or None,
        shared=pairs.shared,
        compared=len(pairs.modules),
        alone=pairs.alone,
        total=of_row(MergeSum, total) if total else None,
        column_overlap=columns[0],
        column_overlap_by_chance=columns[1],
        row_overlap=rows[0],
        row_overlap_by_chance=rows[1],
        sign_conflict=preview.conflict,
        modules=tuple(_module(*both) for both in zip(pairs.modules, preview.merges, strict=False)),
    )


def _module(pair: ModulePair, merge: Merge) -> MergeOfModule:
    columns, rows = _overlap(pair.columns), _overlap(pair.rows)
    stated = {"module": pair.module, "sign_conflict": pair.conflict, "kept_by_both": pair.kept}
    return of_row(MergeOfModule, merge, **stated, columns=columns, rows=rows)


def _overlap(overlap: Overlap) -> SubspaceOverlap:
    return SubspaceOverlap(
        overlap=overlap.value,
        by_chance=overlap.chance,
        distance=overlap.distance,
        dimensions=(overlap.first, overlap.second),
        angles=tuple(overlap.angles),
    )


ADAPTER = "adapters/<str:ns>/<str:name>"
REST = [
    path("leaderboards", Leaderboards.as_view(), name="rest-leaderboards"),
    path("leaderboards/<str:task>", OneLeaderboard.as_view(), name="rest-task-leaderboards"),
    path("bases/<api_base:base>/leaderboard", Leaderboard.as_view(), name="rest-leaderboard"),
    path(f"{ADAPTER}/compare/<api_revision:a>...<api_revision:b>", Compare.as_view(), name="rest-compare"),
    path(f"{ADAPTER}/revisions/<api_revision:rev>/merge-preview", OneMergePreview.as_view(), name="rest-merge-preview"),
]
